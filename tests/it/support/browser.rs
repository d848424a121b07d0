//! A real Chromium without a screen, driven through chromedriver.
//!
//! One chromedriver serves the whole run. Each test has a browser of its own with a profile of its own, which ends with
//! the test, also when that fails.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, LazyLock},
    time::Duration,
};

use serde_json::{Value, json};
use thirtyfour::{
    By, ChromeCapabilities, ChromiumLikeCapabilities as _, DesiredCapabilities, LoggingPrefsLogLevel,
    TypingData, WebDriver, WebElement,
    error::WebDriverErrorInner,
    extensions::query::{ElementPollerWithTimeout, ElementQueryable as _, ElementWaitable as _},
    stringmatch::StringMatch,
};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::test_app::PASSWORD;

/// Runs chromedriver until its standard input closes, which it does when the tests end, however they end. Then it ends
/// the whole process group, browsers included, and takes the profiles away.
const CHROMEDRIVER: &str = r#"
    TMPDIR=$(mktemp -d)
    export TMPDIR
    chromedriver --port=0 &
    read -r _
    trap : TERM
    kill -TERM 0
    wait
    until rm -rf "$TMPDIR"; do :; done
"#;

struct Driver {
    url: String,
    /// Holds the standard input open.
    _process: Child,
}

static DRIVER: LazyLock<Driver> = LazyLock::new(|| {
    assert!(on_path("chromedriver").is_some(), "chromedriver is missing: run bin/setup test");
    let mut process = Command::new("sh")
        .args(["-c", CHROMEDRIVER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
    let port = lines.find_map(|line| Some(line.split_once("started successfully on port ")?.1.to_owned()));
    let port = port.expect("chromedriver did not start");
    Driver { url: format!("http://127.0.0.1:{}", port.trim_end_matches('.')), _process: process }
});

/// So many browsers run at once.
static SEATS: Semaphore = Semaphore::const_new(2);

/// How long to wait for what a page is about to show, and how often to look.
const PATIENCE: Duration = Duration::from_secs(10);
const GLANCE: Duration = Duration::from_millis(20);

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// A browser that nobody has used before.
pub(crate) struct Browser {
    driver: WebDriver,
    _seat: SemaphorePermit<'static>,
}

impl Browser {
    pub(crate) async fn open() -> Self {
        Self::open_as(&[], true).await
    }

    /// A browser whose user has switched JavaScript off.
    pub(crate) async fn without_javascript() -> Self {
        Self::open_as(&[], false).await
    }

    /// A browser that finds each of these hosts, which are in no name service, at its URL.
    pub(crate) async fn knowing(hosts: &[(&str, &str)]) -> Self {
        let rules =
            hosts.iter().map(|(host, url)| format!("MAP {host} {}", url.trim_start_matches("http://")));
        let rules = rules.collect::<Vec<_>>().join(",");
        Self::open_as(&[&format!("--host-resolver-rules={rules}")], true).await
    }

    async fn open_as(arguments: &[&str], has_javascript: bool) -> Self {
        let seat = SEATS.acquire().await.unwrap();
        // The driver says good-bye from its drop, on a thread of its own: a connection kept alive would be waiting for
        // this one.
        let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        let driver = WebDriver::builder(&DRIVER.url, capabilities(arguments, has_javascript))
            .client(client)
            .poller(Arc::new(ElementPollerWithTimeout::new(PATIENCE, GLANCE)))
            .await
            .unwrap();
        Self { driver, _seat: seat }
    }

    pub(crate) fn driver(&self) -> &WebDriver {
        &self.driver
    }

    pub(crate) async fn go(&self, url: &str) {
        self.driver.goto(url).await.unwrap();
    }

    /// The path of the page.
    pub(crate) async fn path(&self) -> String {
        self.driver.current_url().await.unwrap().path().to_owned()
    }

    /// The first element that can be seen, as soon as there is one.
    pub(crate) async fn find(&self, selector: impl Into<By>) -> WebElement {
        let by = selector.into();
        match self.driver.query(by.clone()).and_displayed().first().await {
            Ok(element) => element,
            Err(error) => panic!("no {by:?}: {error}\n{}", self.page().await),
        }
    }

    /// Waits until an element shows this among its text.
    pub(crate) async fn see(&self, css: &str, text: &str) {
        let shows = loop {
            let text = StringMatch::new(text).partial();
            match self.driver.query(By::Css(css)).with_text(text).exists().await {
                // The page was left while it was looked at: look at the next one.
                Err(error) if matches!(error.as_inner(), WebDriverErrorInner::StaleElementReference(_)) => {}
                shows => break shows.unwrap(),
            }
        };
        assert!(shows, "no {css} with “{text}”\n{}", self.page().await);
    }

    /// What a person would report: the address and the text.
    pub(crate) async fn page(&self) -> String {
        let url = self.driver.current_url().await.unwrap();
        format!("{url}\n{}", self.text("body").await)
    }

    /// The text of an element as it is seen.
    pub(crate) async fn text(&self, css: &str) -> String {
        self.driver.query(By::Css(css)).first().await.unwrap().text().await.unwrap()
    }

    /// How many elements there are now.
    pub(crate) async fn count(&self, css: &str) -> usize {
        self.driver.find_all(By::Css(css)).await.unwrap().len()
    }

    /// The input with this label.
    pub(crate) async fn input(&self, label: &str) -> WebElement {
        let label = self.find(By::XPath(format!("//label[normalize-space()='{label}']"))).await;
        let id = label.attr("for").await.unwrap().unwrap();
        self.find(By::Id(id)).await
    }

    pub(crate) async fn fill(&self, label: &str, text: &str) {
        self.input(label).await.send_keys(text).await.unwrap();
    }

    pub(crate) async fn click(&self, css: &str) {
        self.find(By::Css(css)).await.click().await.unwrap();
    }

    /// Clicks what leads to another page, and waits until this one is gone.
    pub(crate) async fn leave_by(&self, by: By) {
        let page = self.driver.find(By::Tag("html")).await.unwrap();
        self.find(by).await.click().await.unwrap();
        page.wait_until().stale().await.unwrap();
    }

    /// Follows the link whose words begin like this.
    pub(crate) async fn follow(&self, words: &str) {
        self.leave_by(By::XPath(format!("//a[starts-with(normalize-space(), '{words}')]"))).await;
    }

    /// Presses the button with these words, which sends its form.
    pub(crate) async fn press(&self, words: &str) {
        self.leave_by(By::XPath(format!("//button[normalize-space()='{words}']"))).await;
    }

    /// Types into whatever has the focus.
    pub(crate) async fn keys(&self, keys: impl Into<TypingData>) {
        self.driver.action_chain().send_keys(keys).perform().await.unwrap();
    }

    /// What the body of a function gives, run in the page.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.driver.execute(script, vec![]).await.unwrap().json().clone()
    }

    /// What the body of an async function gives, run in the page.
    pub(crate) async fn run_async(&self, script: &str) -> Value {
        let script = format!(
            "const done = arguments[0]; (async () => {{ {script} }})().then(done, (error) => done(String(error)))"
        );
        self.driver.execute_async(&script, vec![]).await.unwrap().json().clone()
    }

    /// What a command to the browser's own tools answers.
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.driver.cdp().send_raw(command, parameters).await.unwrap()
    }

    /// Makes the window look like another: its width, and the colors that its user prefers.
    pub(crate) async fn look(&self, width: u32, scheme: &str) {
        let metrics = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// What the browser complained about since the last question: scripts, policies.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let entries = self.driver.browser_log().await.unwrap();
        let complaints = entries.into_iter().filter(|entry| entry.source.as_deref() != Some("network"));
        complaints.map(|entry| entry.message).collect()
    }

    /// Registers as `name` through the form, with a company of the same name.
    pub(crate) async fn sign_up(&self, url: &str, name: &str) {
        self.sign_up_as(url, &format!("{name}@example.org"), name).await;
    }

    pub(crate) async fn sign_up_as(&self, url: &str, email: &str, name: &str) {
        self.go(&format!("{url}/register")).await;
        self.fill("Name", name).await;
        self.fill("Company", name).await;
        self.fill("Email", email).await;
        self.fill("Password", PASSWORD).await;
        self.press("Create account").await;
        self.see("h1", "API Keys").await;
    }

    /// Generates a key through the form and returns what the page shows of it.
    pub(crate) async fn generate(&self, name: &str) -> String {
        self.fill("Name", name).await;
        self.press("Generate Key").await;
        self.text("[data-whole-key-text]").await
    }
}

fn capabilities(arguments: &[&str], has_javascript: bool) -> ChromeCapabilities {
    let mut it = DesiredCapabilities::chrome();
    let flags = [
        "--headless=new",
        "--window-size=1280,800",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        // A page that scrolls smoothly moves under the pointer.
        "--force-prefers-reduced-motion",
    ];
    // Chromium has no sandbox for root.
    let sandbox = nix::unistd::geteuid().is_root().then_some("--no-sandbox");
    for flag in flags.iter().chain(&sandbox).chain(arguments) {
        it.add_arg(flag).unwrap();
    }
    // Where there is none of this name, chromedriver finds a Chrome by itself.
    if let Some(chromium) = on_path("chromium") {
        it.set_binary(chromium.to_str().unwrap()).unwrap();
    }
    if !has_javascript {
        let preferences = json!({ "profile.managed_default_content_settings.javascript": 2 });
        it.add_experimental_option("prefs", preferences).unwrap();
    }
    it.set_browser_log_level(LoggingPrefsLogLevel::All).unwrap();
    it
}
