//! How long the page of API keys takes, and the marks that Lighthouse gives for speed.

use std::{
    fmt::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::ensure;
use reqwest::{
    Client,
    header::{COOKIE, SET_COOKIE},
    redirect,
};
use serde_json::Value;
use tokio::process::Command;
use uptok::{
    accounts::{self, ClientToJoin, NewPassword, NewUser, PasswordHasher},
    api_keys::Scope,
};

use super::{
    database::{self, BenchDatabase},
    load::median,
    scenario::{Metric, Threshold},
    server::ServerProcess,
};

const KEYS: u32 = 100;
const REQUESTS: usize = 300;
const EMAIL: &str = "pages@example.org";
const PASSWORD: &str = "the password of the benchmark";
/// Maximum of the median, in milliseconds.
const MAX_MS: f64 = 5.0;
/// The pages that Lighthouse loads.
const PUBLIC_PAGES: [&str; 2] = ["/login", "/docs"];
const SIGNED_IN_PAGES: [&str; 3] = ["/settings/api-keys", "/sessions", "/settings/usage"];

/// Requests pages as a signed-in browser.
pub(crate) struct PageLoad<'a> {
    server: &'a ServerProcess,
    client: Client,
    /// The header `Cookie` of the signed-in user.
    cookie: String,
}

impl<'a> PageLoad<'a> {
    /// Adds a client with keys, and logs its owner in.
    pub(crate) async fn start(database: &BenchDatabase, server: &'a ServerProcess) -> anyhow::Result<Self> {
        let url = database.url().to_owned();
        actix_web::rt::task::spawn_blocking(move || add_client_with_keys(&url)).await??;
        let client = Client::builder().redirect(redirect::Policy::none()).build()?;
        let login = client.post(server.address("/login")).header("Sec-Fetch-Site", "same-origin");
        let reply = login.form(&[("email", EMAIL), ("password", PASSWORD)]).send().await?;
        ensure!(reply.status() == 303, "the login answered {}", reply.status());
        let cookies = reply.headers().get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs: Vec<&str> = cookies.filter_map(|cookie| cookie.split(';').next()).collect();
        let cookie = pairs.join("; ");
        Ok(Self { server, client, cookie })
    }

    /// Requests the page of API keys again and again, one request at a time.
    pub(crate) async fn measure_api_keys(&self) -> anyhow::Result<Metric> {
        let mut milliseconds = Vec::new();
        for _request in 0..REQUESTS {
            milliseconds.push(self.request_api_keys().await?.as_secs_f64() * 1000.0);
        }
        Ok(Metric {
            name: format!("ms for the page of {KEYS} API keys, median"),
            value: median(milliseconds),
            threshold: Threshold::AtMost(MAX_MS),
        })
    }

    /// To the last byte of the page, compressed as for a browser.
    async fn request_api_keys(&self) -> anyhow::Result<Duration> {
        let start = Instant::now();
        let page = self.client.get(self.server.address("/settings/api-keys")).header(COOKIE, &self.cookie);
        let page = page.header("Accept-Encoding", "gzip, deflate, br").send().await?;
        ensure!(page.status() == 200, "the page answered {}", page.status());
        page.bytes().await?;
        Ok(start.elapsed())
    }

    /// The marks of every page, one line per page and device.
    pub(crate) async fn run_lighthouse(&self) -> anyhow::Result<String> {
        let public = self.lighthouse_marks("", &PUBLIC_PAGES).await?;
        let signed_in = self.lighthouse_marks(&self.cookie, &SIGNED_IN_PAGES).await?;
        Ok(format!("Speed by Lighthouse, of 100{public}{signed_in}"))
    }

    async fn lighthouse_marks(&self, cookie: &str, pages: &[&str]) -> anyhow::Result<String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/lighthouse.mjs");
        let mut node = Command::new("node");
        node.arg(script).args(["performance", cookie]).kill_on_drop(true);
        let output = node.args(pages.iter().map(|page| self.server.address(page))).output().await?;
        ensure!(output.status.success(), "Lighthouse failed: {}", String::from_utf8_lossy(&output.stderr));
        let mut marks = String::new();
        for line in String::from_utf8(output.stdout)?.lines() {
            let result: Value = serde_json::from_str(line)?;
            let [page, device] = ["path", "device"].map(|name| result[name].as_str().unwrap_or_default());
            write!(marks, "\n{page:24} {device:8} {:>3}", result["scores"]["performance"])?;
        }
        Ok(marks)
    }
}

fn add_client_with_keys(url: &str) -> anyhow::Result<()> {
    let mut connection = database::connect(url)?;
    let owner = NewUser {
        email: EMAIL.parse().map_err(anyhow::Error::msg)?,
        name: "Pages".parse()?,
        password_hash: PasswordHasher::hash_now(&NewPassword::parse(PASSWORD, &[])?)?,
    };
    let company = "Pages Store".parse()?;
    let join = ClientToJoin::Company(&company);
    let client =
        accounts::add_user(&mut connection, &database::trail(), &owner, join, accounts::Role::Owner)?;
    for number in 1..=KEYS {
        database::add_key(&mut connection, client.clone(), &format!("Key {number}"), Scope::SessionsRead)?;
    }
    database::use_keys(&mut connection, &client)
}
