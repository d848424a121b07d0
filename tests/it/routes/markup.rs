//! html-validate finds nothing in any page, and every form answers with valid HTML too.

use std::{fs, path::Path, process::Command};

use uptok::pages::PAGE_ROUTES;

use crate::support::{
    Reply, TestApp,
    route_requests::{Owner, PageRequest, browser_for},
};

/// Writes pages to files, because html-validate reads files.
struct PageFolder {
    folder: std::path::PathBuf,
    count: usize,
}

impl PageFolder {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages").join(name);
        // The pages of an earlier run.
        let _ignored = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self { folder, count: 0 }
    }

    fn add(&mut self, title: &str, page: &Reply) {
        if page.header("content-type").starts_with("text/html") {
            let name: String = title.chars().map(|it| if it.is_alphanumeric() { it } else { '_' }).collect();
            self.count += 1;
            fs::write(self.folder.join(format!("{:03}{name}.html", self.count)), &page.body).unwrap();
        }
    }

    async fn assert_valid(self, at_least: usize) {
        assert!(self.count >= at_least, "only {} pages", self.count);
        let mut validator = Command::new("tests/browser/node_modules/.bin/html-validate");
        validator
            .args(["--config", "tests/browser/htmlvalidate.json", "--formatter", "text"])
            .arg(&self.folder);
        let output = actix_web::web::block(move || validator.output()).await.unwrap();
        let output = output.expect("html-validate is missing: run bin/test, or npm ci in tests/browser");
        let printed =
            [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned()).concat();
        assert!(output.status.success(), "{printed}");
    }
}

#[actix_web::test]
async fn every_page_is_valid() {
    let app = TestApp::start().await;
    let ada = Owner::new(&app, "ada").await;
    app.use_keys();
    let mut pages = PageFolder::new("owner");
    for route in &PAGE_ROUTES {
        let request = PageRequest::new(route, &ada);
        pages.add(&format!("public {}", request.text()), &request.send(&app.visitor()).await);
        pages.add(&request.text(), &request.send(&browser_for(route, &app, &ada).await).await);
    }
    for path in
        ["/sessions?q=session-1&status=missed", "/sessions?from=x", "/settings/audit?from=x", "/nothing"]
    {
        pages.add(path, &ada.visitor.get(path).await);
    }
    pages.assert_valid(30).await;
}

#[actix_web::test]
async fn every_refused_form_is_valid() {
    let app = TestApp::start().await;
    let ada = Owner::new(&app, "ada").await;
    let mut pages = PageFolder::new("refused");
    for route in &PAGE_ROUTES {
        let mut request = PageRequest::new(route, &ada);
        for (name, value) in &mut request.fields {
            if *name != "clientId" {
                "\"<&'\u{7}".clone_into(value);
            }
        }
        pages.add(&request.text(), &request.send(&browser_for(route, &app, &ada).await).await);
    }
    pages.assert_valid(15).await;
}

#[actix_web::test]
async fn pages_without_content_are_valid() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let mut pages = PageFolder::new("empty");
    for path in ["/sessions", "/sessions/import", "/settings/api-keys", "/settings/usage", "/settings/audit"]
    {
        pages.add(path, &ada.get(path).await);
    }
    pages.assert_valid(5).await;
}
