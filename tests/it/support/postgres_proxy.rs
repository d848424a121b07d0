//! A TCP proxy in front of PostgreSQL, whose connections can go silent as after a failover or with a frozen host.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use socket2::Socket;
use url::Url;

use super::database_url::parse_url;

#[derive(Default)]
struct ProxyState {
    /// Number of silences so far.
    silences: AtomicUsize,
    /// Number of connections that were opened so far.
    opened: AtomicUsize,
    is_closed: AtomicBool,
    connections: Mutex<Vec<Weak<Sockets>>>,
}

pub(crate) struct PostgresProxy {
    /// The URL of the database through the proxy.
    pub(crate) url: String,
    here: std::net::SocketAddr,
    state: Arc<ProxyState>,
}

impl PostgresProxy {
    /// Starts a proxy to the database at `url`, which names the directory of a socket, or one host and its port.
    pub(crate) fn start(url: &str) -> Self {
        let mut url = parse_url(url);
        let server = ServerAddress::of(&url);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(here.port())).unwrap();
        url.set_query(Some("sslmode=disable"));
        let state = Arc::new(ProxyState::default());
        let accepting = Arc::clone(&state);
        thread::spawn(move || accept(&listener, &server, &accepting));
        Self { url: url.into(), here, state }
    }

    /// From now on the connections that are open swallow what they receive and are not closed. New ones work.
    pub(crate) fn silence(&self) {
        self.state.silences.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn count_opened(&self) -> usize {
        self.state.opened.load(Ordering::SeqCst)
    }

    /// Closes all connections. From now on new ones are refused.
    pub(crate) fn close(&self) {
        self.state.is_closed.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts connections, which then ends.
        let _woken = TcpStream::connect(self.here);
        for sockets in self.state.connections.lock().unwrap().drain(..).filter_map(|it| it.upgrade()) {
            sockets.shut_down();
        }
    }
}

/// Where PostgreSQL listens.
enum ServerAddress {
    Socket(PathBuf),
    /// Host and port.
    Tcp(String),
}

impl ServerAddress {
    fn of(url: &Url) -> Self {
        let parameter = |name: &str| url.query_pairs().find(|it| it.0 == name).map(|(_, value)| value);
        let port = parameter("port").map_or(url.port().unwrap_or(5432), |port| port.parse().unwrap());
        match parameter("host") {
            Some(directory) => Self::Socket(Path::new(directory.as_ref()).join(format!(".s.PGSQL.{port}"))),
            None => Self::Tcp(format!("{}:{port}", url.host_str().unwrap())),
        }
    }

    fn connect(&self) -> io::Result<Socket> {
        match self {
            Self::Socket(path) => UnixStream::connect(path).map(Socket::from),
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                Ok(stream.into())
            }
        }
    }
}

fn accept(listener: &TcpListener, server: &ServerAddress, state: &Arc<ProxyState>) {
    for client in listener.incoming() {
        let client = client.unwrap();
        let mut connections = state.connections.lock().unwrap();
        if state.is_closed.load(Ordering::SeqCst) {
            return;
        }
        // Otherwise PostgreSQL is not running, and the client's connection is closed too.
        let Ok(server) = server.connect() else { continue };
        client.set_nodelay(true).unwrap();
        state.opened.fetch_add(1, Ordering::SeqCst);
        let silences = state.silences.load(Ordering::SeqCst);
        let sockets = Arc::new(Sockets { client, server, state: Arc::clone(state), silences });
        connections.push(Arc::downgrade(&sockets));
        let other = Arc::clone(&sockets);
        thread::spawn(move || sockets.forward(&sockets.client, &sockets.server));
        thread::spawn(move || other.forward(&other.server, &other.client));
    }
}

/// Both sides of a connection.
struct Sockets {
    client: TcpStream,
    server: Socket,
    state: Arc<ProxyState>,
    /// Number of silences when it was opened.
    silences: usize,
}

impl Sockets {
    fn is_silent(&self) -> bool {
        self.state.silences.load(Ordering::SeqCst) != self.silences
    }

    fn shut_down(&self) {
        // One of them may be closed already.
        let _ignored = (self.client.shutdown(Shutdown::Both), self.server.shutdown(Shutdown::Both));
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
            self.shut_down();
        }
    }
}
