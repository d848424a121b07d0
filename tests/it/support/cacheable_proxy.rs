//! A proxy that lets Chromium keep every page in its back/forward cache.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    thread,
};

/// Passes connections on to a node, and turns `no-store` in its responses into `no-cache`.
///
/// Browsers disagree about when a page with `no-store` may enter the back/forward cache, and change their rules. A page
/// without it always may.
pub(crate) struct CacheableProxy {
    pub(crate) url: String,
}

impl CacheableProxy {
    /// Listens until the test process ends.
    pub(crate) fn start(node_url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let node = node_url.trim_start_matches("http://").to_owned();
        thread::spawn(move || {
            for browser in listener.incoming().map_while(Result::ok) {
                // The node may have ended with its test.
                let Ok(server) = TcpStream::connect(&node) else { break };
                let (from_browser, to_server) = (browser.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || copy(from_browser, to_server, |_request| {}));
                thread::spawn(move || copy(server, browser, allow_caching));
            }
        });
        Self { url }
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, change: impl Fn(&mut [u8])) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        change(&mut buffer[..length]);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    drop(to.shutdown(Shutdown::Write));
}

fn allow_caching(response: &mut [u8]) {
    let found: Vec<usize> =
        (0..response.len()).filter(|at| response[*at..].starts_with(b"no-store")).collect();
    for at in found {
        response[at..at + b"no-cache".len()].copy_from_slice(b"no-cache");
    }
}
