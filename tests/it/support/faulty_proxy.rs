//! A proxy in front of a node that fails on purpose, request by request.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Instant,
};

/// What the proxy does with a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ProxyAction {
    /// Passes it on.
    Forward,
    /// Passes it on and sends only half of the answer.
    CutOff,
    /// Never answers.
    KeepSilent,
    /// Answers with this status and this `Retry-After`, and repeats the `Authorization` header in the body.
    Refuse(u16, &'static str),
}

/// Serves one request per connection, one after another.
pub(crate) struct FaultyProxy {
    pub(crate) url: String,
    arrivals: Arc<Mutex<Vec<Instant>>>,
}

impl FaultyProxy {
    /// Starts a proxy in front of the node at `url`. The last action is repeated.
    pub(crate) fn start(url: &str, actions: &'static [ProxyAction]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy =
            Self { url: format!("http://{}", listener.local_addr().unwrap()), arrivals: Arc::default() };
        let (node, arrivals) = (url.trim_start_matches("http://").to_owned(), Arc::clone(&proxy.arrivals));
        thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let Some(request) = read_head(&stream) else { continue };
                let mut arrivals = arrivals.lock().unwrap();
                let action = actions.get(arrivals.len()).or(actions.last()).unwrap();
                arrivals.push(Instant::now());
                drop(arrivals);
                match action {
                    ProxyAction::KeepSilent => silent.push(stream),
                    action => answer(stream, &node, &request, *action),
                }
            }
        });
        proxy
    }

    /// When each request arrived.
    pub(crate) fn arrivals(&self) -> Vec<Instant> {
        self.arrivals.lock().unwrap().clone()
    }
}

/// The lines of a request without a body.
fn read_head(stream: &TcpStream) -> Option<Vec<String>> {
    let mut lines = Vec::new();
    for line in BufReader::new(stream).lines() {
        let line = line.ok()?;
        if line.is_empty() {
            return Some(lines);
        }
        lines.push(line);
    }
    None
}

fn answer(mut stream: TcpStream, node: &str, request: &[String], action: ProxyAction) {
    let answer = match action {
        ProxyAction::Refuse(status, retry_after) => refusal(request, status, retry_after),
        _ => forward(node, request),
    };
    let length = if matches!(action, ProxyAction::CutOff) { answer.len() / 2 } else { answer.len() };
    // The program may have been killed meanwhile.
    let _sent = stream.write_all(&answer[..length]);
    let _closed = stream.shutdown(Shutdown::Write);
}

fn forward(node: &str, request: &[String]) -> Vec<u8> {
    let lines = request.iter().filter(|line| !line.to_lowercase().starts_with("connection:"));
    let head: String = lines.flat_map(|line| [line, "\r\n"]).collect();
    let mut upstream = TcpStream::connect(node).unwrap();
    upstream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer).unwrap();
    answer
}

fn refusal(request: &[String], status: u16, retry_after: &str) -> Vec<u8> {
    let key = request.iter().find(|line| line.to_lowercase().starts_with("authorization:")).unwrap();
    let body = format!(r#"{{"detail":"The proxy refuses {key} for now. Try again."}}"#);
    format!(
        "HTTP/1.1 {status} Refused\r\nRetry-After: {retry_after}\r\nLocation: /elsewhere\r\n\
         Content-Type: application/problem+json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
