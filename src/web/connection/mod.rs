//! The TCP connection of a client.
//!
//! A client that stops reading would hold its connection, the rest of its answer and the shutdown of the process for as
//! long as it likes. So a connection without progress is reset, which also tells the client that its file is not
//! complete.

pub(crate) mod client_address;
pub mod response_body;

use std::{
    cell::Cell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::web::Data;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};

use super::health::ShutdownFlag;

/// Maximum number of bytes that the kernel holds for a client beyond those under way to it. Bounds the memory of unread
/// answers, and makes a slow client show progress: it has to take half of this within [`ProgressTimeouts`].
const UNSENT_BYTES_MAX: u32 = 256 * 1024;

/// How long a client may take nothing of its answer.
#[derive(Clone, Copy, Debug)]
pub struct ProgressTimeouts {
    pub serving: Duration,
    /// Once requests in progress are all that is left before the process ends.
    pub finishing: Duration,
    /// Time between two checks.
    pub check: Duration,
}

impl Default for ProgressTimeouts {
    fn default() -> Self {
        Self {
            serving: Duration::from_secs(30),
            finishing: Duration::from_secs(5),
            check: Duration::from_secs(1),
        }
    }
}

/// A connection that fails once the client makes no progress.
pub struct ClientConnection {
    stream: TcpStream,
    timeouts: ProgressTimeouts,
    drain_state: Data<ShutdownFlag>,
    stall: Option<Stall>,
    reset_on_close: ResetOnClose,
}

/// Since when the client takes nothing.
struct Stall {
    since: Instant,
    next_check: Pin<Box<Sleep>>,
}

/// Makes the connection close with a reset. Otherwise an answer that ends by closing looks complete wherever it ends.
#[derive(Clone, Default)]
pub struct ResetOnClose(Rc<Cell<bool>>);

impl ResetOnClose {
    pub(crate) fn set(&self) {
        self.0.set(true);
    }
}

impl ClientConnection {
    #[must_use]
    pub fn new(stream: TcpStream, timeouts: ProgressTimeouts, drain_state: Data<ShutdownFlag>) -> Self {
        limit_unsent_bytes(&stream);
        // Otherwise the end of an answer of several pieces waits until the client acknowledges the piece before it, which
        // most clients put off for 40 ms. If the option cannot be set, answers are slower and still complete.
        let _ignored = stream.set_nodelay(true);
        Self { stream, timeouts, drain_state, stall: None, reset_on_close: ResetOnClose::default() }
    }

    #[must_use]
    pub fn reset_on_close(&self) -> ResetOnClose {
        self.reset_on_close.clone()
    }

    /// Called when the client takes nothing. Ready once that has lasted too long.
    fn poll_stall(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let ProgressTimeouts { serving, finishing, check } = self.timeouts;
        let stall = self
            .stall
            .get_or_insert_with(|| Stall { since: Instant::now(), next_check: Box::pin(sleep(check)) });
        while stall.next_check.as_mut().poll(context).is_ready() {
            let timeout = if self.drain_state.is_finishing() { finishing } else { serving };
            if stall.since.elapsed() >= timeout {
                return Poll::Ready(());
            }
            stall.next_check.as_mut().reset(Instant::now() + check);
        }
        Poll::Pending
    }
}

#[cfg(target_os = "linux")]
fn limit_unsent_bytes(stream: &TcpStream) {
    // Without the option the connection works, but holds more memory.
    let _ignored = socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES_MAX);
}

#[cfg(not(target_os = "linux"))]
fn limit_unsent_bytes(_stream: &TcpStream) {}

impl AsyncRead for ClientConnection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for ClientConnection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        if written.is_ready() {
            this.stall = None;
            return written;
        }
        if this.poll_stall(context).is_pending() {
            return Poll::Pending;
        }
        tracing::debug!("A client stopped reading its answer; its connection is reset");
        this.reset_on_close.set();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

impl Drop for ClientConnection {
    fn drop(&mut self) {
        if self.reset_on_close.0.get() {
            // If this fails, the kernel keeps the unsent bytes for a while.
            let _ignored = self.stream.set_zero_linger();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpSocket},
    };

    use super::*;

    const TIMEOUTS: ProgressTimeouts = ProgressTimeouts {
        serving: Duration::from_millis(400),
        finishing: Duration::from_millis(100),
        check: Duration::from_millis(20),
    };

    /// A connection, and the client at its other end, which has room for little.
    async fn connect(timeouts: ProgressTimeouts) -> (ClientConnection, TcpStream, Data<ShutdownFlag>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(64 * 1024).unwrap();
        let client = socket.connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _address) = listener.accept().await.unwrap();
        let drain_state = Data::new(ShutdownFlag::default());
        (ClientConnection::new(server, timeouts, drain_state.clone()), client, drain_state)
    }

    /// Writes until an error. Returns it.
    async fn write_until_error(connection: &mut ClientConnection) -> io::ErrorKind {
        loop {
            if let Err(error) = connection.write_all(&[b'x'; 16 * 1024]).await {
                return error.kind();
            }
        }
    }

    async fn read_to_error(client: &mut TcpStream) -> io::ErrorKind {
        client.read_to_end(&mut Vec::new()).await.unwrap_err().kind()
    }

    #[actix_web::test]
    async fn answer_of_several_pieces_waits_for_no_acknowledgement() {
        let (connection, _client, _drain_state) = connect(TIMEOUTS).await;

        assert!(connection.stream.nodelay().unwrap());
    }

    #[actix_web::test]
    async fn client_that_never_reads_is_reset() {
        let (mut connection, mut client, _drain_state) = connect(TIMEOUTS).await;
        let start = Instant::now();

        assert_eq!(write_until_error(&mut connection).await, io::ErrorKind::TimedOut);

        assert!(start.elapsed() >= TIMEOUTS.serving);
        drop(connection);
        assert_eq!(read_to_error(&mut client).await, io::ErrorKind::ConnectionReset);
    }

    #[actix_web::test]
    async fn client_that_reads_slowly_keeps_its_connection() {
        const PART: usize = 256 * 1024;
        const PARTS: usize = 8;
        let (mut connection, mut client, _drain_state) = connect(TIMEOUTS).await;
        let start = Instant::now();
        let write = async { connection.write_all(&vec![b'x'; PARTS * PART]).await };
        let read = async {
            for _ in 0..PARTS {
                // Shorter than the timeout, but longer in all.
                sleep(Duration::from_millis(80)).await;
                client.read_exact(&mut vec![0; PART]).await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(write, read);
        assert!(written.is_ok() && start.elapsed() >= TIMEOUTS.serving);
    }

    #[actix_web::test]
    async fn stall_ends_sooner_once_the_process_is_about_to_end() {
        let timeouts = ProgressTimeouts { serving: Duration::from_secs(3600), ..TIMEOUTS };
        let (mut connection, _client, drain_state) = connect(timeouts).await;
        drain_state.begin_finish();
        assert_eq!(write_until_error(&mut connection).await, io::ErrorKind::TimedOut);
    }

    #[actix_web::test]
    async fn connection_closes_without_a_reset_unless_asked() {
        for is_reset in [false, true] {
            let (mut connection, mut client, _drain_state) = connect(TIMEOUTS).await;
            connection.write_all(b"part").await.unwrap();
            if is_reset {
                connection.reset_on_close().set();
            }
            drop(connection);
            let mut text = String::new();
            let outcome = client.read_to_string(&mut text).await.map_err(|error| error.kind());
            assert_eq!(outcome.err(), is_reset.then_some(io::ErrorKind::ConnectionReset), "{text}");
        }
    }
}
