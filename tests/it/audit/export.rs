//! `uptok audit export`.

use std::process::Command;

use crate::support::{TestApp, test_app::SECRET};

fn export(app: &TestApp, client: &str) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uptok"));
    command.args(["audit", "export", "--client", client]).env("DATABASE_URL", &app.db.url);
    let output = command.env("UPTOK_SECRET", SECRET).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[actix_web::test]
async fn operator_exports_the_file_that_owners_download() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    app.sign_up("eve").await;
    ada.generate("laptop").await;

    let exported = export(&app, &client).unwrap();

    assert_eq!(exported, ada.get("/settings/audit.csv").await.body);
    assert_eq!(exported.lines().count(), 4);
    assert!(export(&app, "cl_0000000000").unwrap_err().contains("there is no client"));
}
