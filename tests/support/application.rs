//! What stands behind an Envoy: an HTTP server that says its name and who the Envoy says is calling.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use super::wait::DEADLINE;

/// A running server. Dropping it ends it.
pub struct Application {
    port: u16,
    ending: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Application {
    /// Starts a server on a free port that answers every request with `name`.
    pub fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("a bound socket").port();
        let ending = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&ending);
        let accepting = thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                if let Ok(stream) = stream {
                    thread::spawn(move || answer(&stream, name));
                }
            }
        });
        Self { port, ending, accepting: Some(accepting) }
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        // Wakes the loop, which then sees that it is over.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

/// Answers the requests of one connection, until either side has had enough.
fn answer(stream: &TcpStream, name: &str) {
    let _ = stream.set_read_timeout(Some(DEADLINE));
    let mut lines = BufReader::new(stream).lines();
    let mut writer = stream;
    loop {
        let mut caller = "nobody".to_owned();
        let mut asked = false;
        for line in lines.by_ref() {
            let Ok(line) = line else { return };
            if line.is_empty() {
                break;
            }
            asked = true;
            if let Some((_, value)) = line.split_once("x-forwarded-client-cert: ") {
                caller = value.rsplit("URI=").next().unwrap_or(value).to_owned();
            }
        }
        let body = format!("{name} called by {caller}");
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        if !asked || writer.write_all((head + &body).as_bytes()).is_err() {
            return;
        }
    }
}
