//! Copies all sessions of a client to a file, and at every later start what has changed since.
//!
//!     UPTOK_URL=https://uptok.example UPTOK_API_KEY=... cargo run [sessions.ndjson]
//!
//! Needs Rust 1.89 or newer. README.md explains the file.

use std::{
    env,
    error::Error,
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    thread::sleep,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use ureq::{Agent, http::StatusCode};

const TRIES: u32 = 5;
/// A server that asks for more ends the program.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
const TIMEOUT: Duration = Duration::from_secs(60);
/// A change counts from when it began, not from when it was stored, so the last minute is always read again.
const OVERLAP: Duration = Duration::from_secs(60);

/// How much of the file is complete, and where to go on.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Progress {
    bytes: u64,
    cursor: Option<String>,
    updated_since: Option<String>,
    started_at: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    data: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Problem {
    detail: String,
}

struct Client {
    url: String,
    key: String,
    agent: Agent,
}

impl Client {
    fn new(url: String, key: String) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            // The key must not follow a redirect to another server.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(TIMEOUT))
            .build();
        Self { url, key, agent: agent.into() }
    }

    /// A page of sessions, and the time of the server.
    fn load_page(&self, progress: &Progress) -> Result<(Page, SystemTime), Box<dyn Error>> {
        let mut attempt = 1;
        loop {
            let mut request = self
                .agent
                .get(format!("{}/api/sessions?perPage=1000", self.url))
                .header("Authorization", format!("Bearer {}", self.key))
                .header("Accept", "application/json");
            for (name, value) in [("cursor", &progress.cursor), ("updatedSince", &progress.updated_since)] {
                if let Some(value) = value {
                    request = request.query(name, value);
                }
            }
            let mut response = request.call().map_err(|_| format!("{} cannot be reached", self.url))?;
            let body = response.body_mut().with_config().limit(1 << 30).read_to_string();
            let body = body.map_err(|_| "the answer broke off")?;
            let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
            let status = response.status();
            if status == StatusCode::OK {
                let page = serde_json::from_str(&body).map_err(|_| "the answer broke off")?;
                let time = httpdate::parse_http_date(header("Date").unwrap_or_default());
                return Ok((page, time.map_err(|_| "the answer is not one of Uptok")?));
            }
            let seconds = header("Retry-After").and_then(|it| it.parse().ok()).unwrap_or(5);
            let wait = Duration::from_secs(seconds);
            let is_busy = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&status);
            if !is_busy || attempt == TRIES || wait > LONGEST_WAIT {
                return Err(describe(status, &body).into());
            }
            sleep(wait);
            attempt += 1;
        }
    }

    /// Appends every session, or those that changed since the last export. Returns how many.
    fn export(&self, path: &Path) -> Result<usize, Box<dyn Error>> {
        let progress_path = PathBuf::from(format!("{}.progress", path.display()));
        let mut progress = Progress::load(path, &progress_path)?;
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        if file.metadata()?.len() < progress.bytes {
            let (path, progress_path) = (path.display(), progress_path.display());
            return Err(format!("{path} is shorter than it was; delete it and {progress_path}").into());
        }
        // What was written after the last saved progress comes again.
        file.set_len(progress.bytes)?;
        file.seek(SeekFrom::End(0))?;
        let mut count = 0;
        loop {
            let (page, now) = self.load_page(&progress)?;
            progress.append(&mut file, &page, now)?;
            progress.save(&progress_path)?;
            count += page.data.len();
            if progress.cursor.is_none() {
                return Ok(count);
            }
        }
    }
}

/// The first sentence that the server says, and the status.
fn describe(status: StatusCode, body: &str) -> String {
    let detail = serde_json::from_str(body).map(|problem: Problem| problem.detail);
    let detail = detail.unwrap_or_else(|_| "the server refused the request".to_owned());
    let sentence = detail.split(". ").next().unwrap_or_default().trim_end_matches('.');
    format!("{sentence} (HTTP {})", status.as_u16())
}

impl Progress {
    fn load(path: &Path, progress_path: &Path) -> Result<Self, Box<dyn Error>> {
        match fs::read(progress_path) {
            Ok(text) => return Ok(serde_json::from_slice(&text)?),
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            Err(_) => {}
        }
        if fs::metadata(path).is_ok_and(|file| file.len() > 0) {
            return Err(format!("{} exists already, and is not from this program", path.display()).into());
        }
        let progress = Self::default();
        progress.save(progress_path)?;
        Ok(progress)
    }

    /// Replaces the file in one step, so that it is whole whenever the program is killed.
    fn save(&self, progress_path: &Path) -> Result<(), Box<dyn Error>> {
        let new = PathBuf::from(format!("{}.new", progress_path.display()));
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        Ok(fs::rename(new, progress_path)?)
    }

    fn append(&mut self, file: &mut File, page: &Page, now: SystemTime) -> Result<(), Box<dyn Error>> {
        self.started_at.get_or_insert_with(|| humantime::format_rfc3339_seconds(now - OVERLAP).to_string());
        let lines: String = page.data.iter().flat_map(|session| [session.get(), "\n"]).collect();
        file.write_all(lines.as_bytes())?;
        file.sync_all()?;
        self.bytes = file.stream_position()?;
        self.cursor.clone_from(&page.next_cursor);
        if self.cursor.is_none() {
            self.updated_since = self.started_at.take();
        }
        Ok(())
    }
}

/// `uptok_`, 12 characters, `_` and 38 more.
fn is_key(text: &str) -> bool {
    let parts: Vec<&str> = text.split('_').collect();
    let is_part =
        |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    matches!(parts.as_slice(), ["uptok", public, secret] if is_part(public, 12) && is_part(secret, 38))
}

fn run(key: &str) -> Result<(), Box<dyn Error>> {
    let url = env::var("UPTOK_URL").unwrap_or_else(|_| "http://localhost:8080".to_owned());
    let path = env::args_os().nth(1).map_or_else(|| PathBuf::from("sessions.ndjson"), PathBuf::from);
    if !is_key(key) {
        return Err("UPTOK_API_KEY is not an API key of Uptok".into());
    }
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err("UPTOK_URL does not begin with https:// or http://".into());
    }
    let client = Client::new(url.trim_end_matches('/').to_owned(), key.to_owned());
    println!("{} sessions written to {}", client.export(&path)?, path.display());
    Ok(())
}

fn main() -> ExitCode {
    let key = env::var("UPTOK_API_KEY").unwrap_or_default().trim().to_owned();
    let Err(error) = run(&key) else { return ExitCode::SUCCESS };
    let reason = if key.is_empty() { error.to_string() } else { error.to_string().replace(&key, "(key)") };
    eprintln!("The export stopped and can be started again: {reason}.");
    ExitCode::FAILURE
}
