//! A real SMTP server: aiosmtpd in a process of its own.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// Within this time a mail must arrive.
const DEADLINE: Duration = Duration::from_secs(20);
/// Longest pause between two looks.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

pub(crate) struct SmtpServer {
    pub(crate) url: String,
    messages: Receiver<Value>,
    process: Child,
}

impl SmtpServer {
    /// Starts a server that accepts every mail.
    pub(crate) fn start() -> Self {
        Self::start_with(&["accept"])
    }

    /// Starts a server with these arguments of `tests/mail/smtp_server.py`.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        // It ends when its standard input closes, which happens when the test ends for any reason.
        let mut process = Command::new(target.join("schemathesis/bin/python"))
            .arg("tests/mail/smtp_server.py")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{error}: run bin/test, which installs aiosmtpd"));
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let port = lines.next().expect("the SMTP server did not start");
        let (sender, messages) = channel();
        thread::spawn(move || {
            for line in lines {
                if sender.send(serde_json::from_str(&line).unwrap()).is_err() {
                    break;
                }
            }
        });
        Self { url: format!("smtp://127.0.0.1:{port}"), messages, process }
    }

    /// The settings of a node that sends its mail here.
    pub(crate) fn settings(&self) -> Vec<&str> {
        vec!["--smtp-url", &self.url, "--mail-from", "Uptok <keys@example.org>"]
    }

    /// Waits for the next mail.
    pub(crate) async fn next(&self) -> Mail {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Ok(message) = self.messages.try_recv() {
                return Mail(message);
            }
            assert!(Instant::now() < deadline, "no mail arrived");
            actix_web::rt::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// The mails that have arrived since.
    pub(crate) fn received(&self) -> Vec<Mail> {
        let mut mails = Vec::new();
        loop {
            match self.messages.recv_timeout(Duration::ZERO) {
                Ok(message) => mails.push(Mail(message)),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return mails,
            }
        }
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        let _ = (self.process.kill(), self.process.wait());
    }
}

/// A mail as the server received it.
pub(crate) struct Mail(Value);

impl Mail {
    pub(crate) fn text(&self, name: &str) -> String {
        self.0[name].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn recipients(&self) -> String {
        self.0["to"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect::<Vec<_>>().join(", ")
    }

    /// The path of the only link of ours in the plain text. The HTML must have the same.
    #[track_caller]
    pub(crate) fn link(&self, origin: &str) -> String {
        let text = self.text("text");
        let links: Vec<&str> = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix(origin))
            .filter(|it| !it.is_empty())
            .collect();
        assert_eq!(links.len(), 1, "{text}");
        assert!(
            self.text("html").contains(&format!("href=\"{origin}{}\"", links[0])),
            "{}",
            self.text("html")
        );
        links[0].to_owned()
    }
}
