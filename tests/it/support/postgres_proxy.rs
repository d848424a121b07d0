//! A TCP proxy in front of PostgreSQL, whose connections can go silent as after a failover or with a frozen host.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use url::form_urlencoded;

#[derive(Default)]
struct ProxyState {
    /// Number of silences so far.
    silences: AtomicUsize,
    /// Number of connections that were opened so far.
    opened: AtomicUsize,
}

pub(crate) struct PostgresProxy {
    /// The URL of the database through the proxy.
    pub(crate) url: String,
    state: Arc<ProxyState>,
}

impl PostgresProxy {
    /// Starts a proxy to the database at `url`, which names the directory of a socket.
    pub(crate) fn start(url: &str) -> Self {
        let (address, query) = url.split_once('?').unwrap();
        let (_, directory) =
            form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "host").unwrap();
        let socket = Path::new(directory.as_ref()).join(".s.PGSQL.5432");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap();
        let url = format!("{}?sslmode=disable", address.replacen("@/", &format!("@{here}/"), 1));
        let state = Arc::new(ProxyState::default());
        let accepting = Arc::clone(&state);
        thread::spawn(move || accept(&listener, &socket, &accepting));
        Self { url, state }
    }

    /// From now on the connections that are open swallow what they receive and are not closed. New ones work.
    pub(crate) fn silence(&self) {
        self.state.silences.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn count_opened(&self) -> usize {
        self.state.opened.load(Ordering::SeqCst)
    }
}

fn accept(listener: &TcpListener, socket: &PathBuf, state: &Arc<ProxyState>) {
    for client in listener.incoming() {
        let (client, server) = (client.unwrap(), UnixStream::connect(socket).unwrap());
        state.opened.fetch_add(1, Ordering::SeqCst);
        let silences = state.silences.load(Ordering::SeqCst);
        let sockets = Arc::new(Sockets { client, server, state: Arc::clone(state), silences });
        let other = Arc::clone(&sockets);
        thread::spawn(move || sockets.forward(&sockets.client, &sockets.server));
        thread::spawn(move || other.forward(&other.server, &other.client));
    }
}

/// Both sides of a connection.
struct Sockets {
    client: TcpStream,
    server: UnixStream,
    state: Arc<ProxyState>,
    /// Number of silences when it was opened.
    silences: usize,
}

impl Sockets {
    fn is_silent(&self) -> bool {
        self.state.silences.load(Ordering::SeqCst) != self.silences
    }

    fn forward<From, To>(&self, mut from: &From, mut to: &To)
    where
        for<'a> &'a From: Read,
        for<'a> &'a To: Write,
    {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if !self.is_silent() && to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        if !self.is_silent() {
            // One of them may be closed already.
            let _ignored = (self.client.shutdown(Shutdown::Both), self.server.shutdown(Shutdown::Both));
        }
    }
}
