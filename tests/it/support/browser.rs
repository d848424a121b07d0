//! A headless Chromium, driven through chromedriver.
//!
//! One chromedriver serves the whole run. Each test has its own browser with its own profile, which is closed
//! when the test ends, even if it fails.

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

/// Runs chromedriver until its standard input closes, which happens when the test process ends for any
/// reason. Then it ends the whole process group, including the browsers, and removes the profiles.
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
    /// Keeps the standard input open.
    _process: Child,
}

static DRIVER: LazyLock<Driver> = LazyLock::new(|| {
    assert!(find_on_path("chromedriver").is_some(), "chromedriver is missing: run bin/setup test");
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

/// Maximum number of browsers at a time.
static BROWSER_PERMITS: Semaphore = Semaphore::const_new(2);

/// How long to wait for an element, and how often to look for it.
const WAIT_TIMEOUT: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

fn find_on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// A browser with a new profile.
pub(crate) struct Browser {
    driver: WebDriver,
    _permit: SemaphorePermit<'static>,
}

impl Browser {
    pub(crate) async fn open() -> Self {
        Self::open_with(&[], true).await
    }

    /// Opens a browser with JavaScript disabled.
    pub(crate) async fn open_without_javascript() -> Self {
        Self::open_with(&[], false).await
    }

    /// Opens a browser that resolves each of these host names to the address in the URL.
    pub(crate) async fn open_with_hosts(hosts: &[(&str, &str)]) -> Self {
        let rules =
            hosts.iter().map(|(host, url)| format!("MAP {host} {}", url.trim_start_matches("http://")));
        let rules = rules.collect::<Vec<_>>().join(",");
        Self::open_with(&[&format!("--host-resolver-rules={rules}")], true).await
    }

    async fn open_with(arguments: &[&str], has_javascript: bool) -> Self {
        let permit = BROWSER_PERMITS.acquire().await.unwrap();
        // The driver ends its session on drop, from a thread of its own. It must not reuse a connection that
        // belongs to this runtime.
        let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        let driver = WebDriver::builder(&DRIVER.url, capabilities(arguments, has_javascript))
            .client(client)
            .poller(Arc::new(ElementPollerWithTimeout::new(WAIT_TIMEOUT, POLL_INTERVAL)))
            .await
            .unwrap();
        Self { driver, _permit: permit }
    }

    pub(crate) fn driver(&self) -> &WebDriver {
        &self.driver
    }

    pub(crate) async fn go(&self, url: &str) {
        self.driver.goto(url).await.unwrap();
    }

    pub(crate) async fn path(&self) -> String {
        self.driver.current_url().await.unwrap().path().to_owned()
    }

    /// Returns the first visible match and waits until there is one.
    pub(crate) async fn find(&self, selector: impl Into<By>) -> WebElement {
        let by = selector.into();
        match self.driver.query(by.clone()).and_displayed().first().await {
            Ok(element) => element,
            Err(error) => panic!("no {by:?}: {error}\n{}", self.page().await),
        }
    }

    /// Waits until a matching element contains this text.
    pub(crate) async fn see(&self, css: &str, text: &str) {
        let is_shown = loop {
            let text = StringMatch::new(text).partial();
            match self.driver.query(By::Css(css)).with_text(text).exists().await {
                // The browser left the page in between, so look at the next one.
                Err(error) if matches!(error.as_inner(), WebDriverErrorInner::StaleElementReference(_)) => {}
                is_shown => break is_shown.unwrap(),
            }
        };
        assert!(is_shown, "no {css} with “{text}”\n{}", self.page().await);
    }

    /// Describes the page for a failure message: its URL and text.
    pub(crate) async fn page(&self) -> String {
        let url = self.driver.current_url().await.unwrap();
        format!("{url}\n{}", self.text("body").await)
    }

    /// Returns the visible text of an element.
    pub(crate) async fn text(&self, css: &str) -> String {
        self.driver.query(By::Css(css)).first().await.unwrap().text().await.unwrap()
    }

    pub(crate) async fn count(&self, css: &str) -> usize {
        self.driver.find_all(By::Css(css)).await.unwrap().len()
    }

    /// Finds the input with this label.
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

    /// Clicks an element that leads to another page, and waits until this page is gone.
    pub(crate) async fn click_and_leave(&self, by: By) {
        let page = self.driver.find(By::Tag("html")).await.unwrap();
        self.find(by).await.click().await.unwrap();
        page.wait_until().stale().await.unwrap();
    }

    /// Follows the link whose text starts with `words`.
    pub(crate) async fn follow(&self, words: &str) {
        self.click_and_leave(By::XPath(format!("//a[starts-with(normalize-space(), '{words}')]"))).await;
    }

    /// Presses the button with this text, which submits its form.
    pub(crate) async fn press(&self, words: &str) {
        self.click_and_leave(By::XPath(format!("//button[normalize-space()='{words}']"))).await;
    }

    /// Types into the focused element.
    pub(crate) async fn keys(&self, keys: impl Into<TypingData>) {
        self.driver.action_chain().send_keys(keys).perform().await.unwrap();
    }

    /// Runs the body of a function in the page and returns its result.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.driver.execute(script, vec![]).await.unwrap().json().clone()
    }

    /// Runs the body of an async function in the page and returns its result, or the error as text.
    pub(crate) async fn run_async(&self, script: &str) -> Value {
        let script = format!(
            "const done = arguments[0]; (async () => {{ {script} }})().then(done, (error) => done(String(error)))"
        );
        self.driver.execute_async(&script, vec![]).await.unwrap().json().clone()
    }

    /// Sends a `DevTools` command.
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.driver.cdp().send_raw(command, parameters).await.unwrap()
    }

    /// Emulates a window width and a preferred colour scheme.
    pub(crate) async fn emulate(&self, width: u32, scheme: &str) {
        let metrics = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// Returns the errors and policy violations logged since the last call, without network errors.
    pub(crate) async fn read_complaints(&self) -> Vec<String> {
        let entries = self.driver.browser_log().await.unwrap();
        let complaints = entries.into_iter().filter(|entry| entry.source.as_deref() != Some("network"));
        complaints.map(|entry| entry.message).collect()
    }

    /// Registers `name` through the form, with a company of the same name.
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

    /// Generates a key through the form and returns the whole key.
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
        // Elements of a smoothly scrolling page would move under the pointer.
        "--force-prefers-reduced-motion",
    ];
    // Chromium refuses to run as root with its sandbox.
    let sandbox = nix::unistd::geteuid().is_root().then_some("--no-sandbox");
    for flag in flags.iter().chain(&sandbox).chain(arguments) {
        it.add_arg(flag).unwrap();
    }
    // Without a `chromium` in the path, chromedriver looks for Chrome.
    if let Some(chromium) = find_on_path("chromium") {
        it.set_binary(chromium.to_str().unwrap()).unwrap();
    }
    if !has_javascript {
        let preferences = json!({ "profile.managed_default_content_settings.javascript": 2 });
        it.add_experimental_option("prefs", preferences).unwrap();
    }
    it.set_browser_log_level(LoggingPrefsLogLevel::All).unwrap();
    it
}
