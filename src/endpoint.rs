//! What a live TLS endpoint shows of itself: the chain that it sends, and whom it asks for.
//!
//! A look, no trust: every certificate is accepted here, and judged by who reads the answer.
//! Sends nothing but a handshake and its end.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, TcpStream, ToSocketAddrs};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, ProtocolVersion};
use serde::Serialize;
use thiserror::Error;

use crate::x509::certificate::Certificate;
use crate::x509::key::PrivateKey;
use crate::x509::printable::printable;

mod observer;

use observer::{Observed, Observer};

/// How many pieces are read after the handshake, at most, while waiting for its end.
const READS: usize = 64;

/// Why an endpoint could not be looked at.
#[derive(Debug, Error)]
pub enum EndpointError {
    /// Not `HOST:PORT`.
    #[error("{text:?} is no HOST:PORT, such as localhost:8443 or [::1]:8443")]
    Address {
        /// The text as given.
        text: String,
    },
    /// A server name that TLS could not send.
    #[error("{text:?} is no server name: neither a DNS name nor an IP address")]
    ServerName {
        /// The text as given.
        text: String,
    },
    /// The host has no address.
    #[error("{host:?} has no address")]
    Resolve {
        /// The host.
        host: String,
        /// What the resolver said, where it said anything.
        #[source]
        cause: Option<io::Error>,
    },
    /// Nobody listens there, or a firewall is in between.
    #[error("cannot connect to {address}")]
    Connect {
        /// Where to.
        address: Address,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// It took too long as a whole.
    #[error("{address} did not complete a TLS handshake within {} s", .timeout.as_secs_f32())]
    TimedOut {
        /// Where to.
        address: Address,
        /// How long that was.
        timeout: Duration,
    },
    /// No handshake: not TLS, or no version and cipher in common.
    #[error("{address} answers, and not with a TLS handshake that we can take part in")]
    Handshake {
        /// Where to.
        address: Address,
        /// What went wrong.
        #[source]
        cause: io::Error,
    },
    /// The client certificate and its key cannot be used.
    #[error("the client certificate cannot be used")]
    Identity(#[source] rustls::Error),
    /// The TLS library cannot be set up, or the system gives no thread.
    #[error("cannot begin a TLS connection")]
    Setup(#[source] io::Error),
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A DNS name or an IP address, without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// How to look.
#[derive(Debug)]
pub struct Look {
    /// The name to ask for, where it is not the host.
    pub server_name: Option<String>,
    /// The protocols to offer, in order of preference (RFC 7301).
    pub protocols: Vec<String>,
    /// The client certificate to offer: key and chain, leaf first.
    pub identity: Option<(PrivateKey, Vec<Certificate>)>,
    /// How long the whole may take, name look-up included.
    pub timeout: Duration,
}

/// What an endpoint showed.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sight {
    /// Where it was.
    pub address: String,
    /// The name that was asked for.
    pub server_name: String,
    /// The TLS version; none where the handshake was broken off before.
    pub tls_version: Option<String>,
    /// The cipher suite.
    pub cipher_suite: Option<String>,
    /// The group of the key exchange.
    pub key_exchange: Option<String>,
    /// The protocol agreed on, of those offered.
    pub protocol: Option<String>,
    /// Whether it proved to hold the private key of its certificate.
    pub proves_its_key: bool,
    /// Whether it asks for a client certificate.
    pub asks_for_client_certificate: bool,
    /// The names of the CAs that it hints a client certificate should come from.
    pub accepted_authorities: Vec<String>,
    /// Whether we gave it one.
    pub gave_client_certificate: bool,
    /// What it made of us.
    pub verdict: Verdict,
    /// Why it refused, where it did: its alert.
    pub refusal: Option<String>,
    /// The certificates that it sent, in its order, in DER.
    #[serde(skip)]
    pub chain: Vec<Vec<u8>>,
}

/// What an endpoint made of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// It went on.
    Accepted,
    /// It broke the handshake off.
    Refused,
    /// It fell silent.
    Unknown,
}

impl FromStr for Address {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let wrong = || EndpointError::Address { text: text.to_owned() };
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(inner) if inner.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()) => inner,
            Some(_) => return Err(wrong()),
            None if host.contains(':') => return Err(wrong()),
            None => host,
        };
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
        ServerName::try_from(host).map_err(|_| wrong())?;
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Look {
    /// Connects, shakes hands, and tells what was seen.
    ///
    /// # Errors
    /// When nothing could be seen: no connection, no TLS, or not in time.
    pub fn at(self, address: &Address) -> Result<Sight, EndpointError> {
        let timeout = self.timeout;
        let (tell, told) = mpsc::channel();
        let place = address.clone();
        // On a thread of its own, so that one limit holds for the whole, name look-up included.
        // One that is given up on ends by its sockets' timeouts, with nobody listening.
        thread::Builder::new()
            .spawn(move || drop(tell.send(self.handshake(&place))))
            .map_err(EndpointError::Setup)?;
        told.recv_timeout(timeout).unwrap_or_else(|error| {
            let address = address.clone();
            Err(match error {
                RecvTimeoutError::Timeout => EndpointError::TimedOut { address, timeout },
                RecvTimeoutError::Disconnected => {
                    EndpointError::Setup(io::Error::other("the thread ended early"))
                }
            })
        })
    }

    fn handshake(&self, address: &Address) -> Result<Sight, EndpointError> {
        let name = self.server_name.clone().unwrap_or_else(|| address.host.clone());
        let server_name = ServerName::try_from(name.clone())
            .map_err(|_| EndpointError::ServerName { text: name.clone() })?;
        let observer = Arc::new(Observer::new(self.client_key()?));
        let mut client = self.client(server_name, &observer)?;
        let mut socket = self.connect(address)?;
        let outcome = shake(&mut client, &mut socket);
        let observed = observer.observed();
        // Whoever refuses us has shown its certificate first, as a rule.
        if observed.chain.is_empty() {
            return Err(match outcome {
                Err(cause) if is_timeout(&cause) => {
                    EndpointError::TimedOut { address: address.clone(), timeout: self.timeout }
                }
                Err(cause) => EndpointError::Handshake { address: address.clone(), cause },
                Ok(_) => EndpointError::Handshake {
                    address: address.clone(),
                    cause: io::Error::other("it sent no certificate"),
                },
            });
        }
        Ok(sight(address, name, &client, observed, outcome))
    }

    fn client_key(&self) -> Result<Option<Arc<CertifiedKey>>, EndpointError> {
        let Some((key, chain)) = &self.identity else { return Ok(None) };
        let signer =
            aws_lc_rs::sign::any_supported_type(&PrivateKeyDer::Pkcs8(key.to_der().clone_key()))
                .map_err(EndpointError::Identity)?;
        let chain = chain.iter().map(|certificate| certificate.der().clone()).collect();
        Ok(Some(Arc::new(CertifiedKey::new(chain, signer))))
    }

    fn client(
        &self,
        name: ServerName<'static>,
        observer: &Arc<Observer>,
    ) -> Result<ClientConnection, EndpointError> {
        let setup = |error| EndpointError::Setup(io::Error::other(error));
        let mut config = ClientConfig::builder_with_provider(observer.provider())
            .with_safe_default_protocol_versions()
            .map_err(setup)?
            .dangerous()
            .with_custom_certificate_verifier(observer.clone())
            .with_client_cert_resolver(observer.clone());
        config.alpn_protocols =
            self.protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        ClientConnection::new(Arc::new(config), name).map_err(setup)
    }

    fn connect(&self, address: &Address) -> Result<TcpStream, EndpointError> {
        let resolve = |cause| EndpointError::Resolve { host: address.host.clone(), cause };
        let places = (address.host.as_str(), address.port)
            .to_socket_addrs()
            .map_err(|cause| resolve(Some(cause)))?;
        let mut last = None;
        for place in places {
            let socket = TcpStream::connect_timeout(&place, self.timeout).and_then(|socket| {
                socket.set_read_timeout(Some(self.timeout))?;
                socket.set_write_timeout(Some(self.timeout))?;
                Ok(socket)
            });
            match socket {
                Ok(socket) => return Ok(socket),
                Err(cause) => last = Some(cause),
            }
        }
        Err(match last {
            Some(cause) => EndpointError::Connect { address: address.clone(), cause },
            None => resolve(None),
        })
    }
}

/// Completes the handshake and says goodbye. A TLS 1.3 server judges a client certificate after
/// the client considers the handshake done, so its answer to the goodbye is waited for.
fn shake(client: &mut ClientConnection, socket: &mut TcpStream) -> io::Result<Verdict> {
    while client.is_handshaking() {
        client.complete_io(socket)?;
    }
    if client.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
        return Ok(Verdict::Accepted);
    }
    client.send_close_notify();
    while client.wants_write() {
        client.write_tls(socket)?;
    }
    for _ in 0..READS {
        match client.read_tls(socket) {
            // Closed: with a goodbye, or after session tickets, it had accepted us.
            Ok(0) if client.tls13_tickets_received() > 0 => return Ok(Verdict::Accepted),
            Ok(0) => return Ok(Verdict::Unknown),
            Ok(_) => {}
            Err(error) if is_timeout(&error) => return Ok(Verdict::Unknown),
            Err(error) => return Err(error),
        }
        let state = client.process_new_packets().map_err(io::Error::other)?;
        if state.peer_has_closed() {
            return Ok(Verdict::Accepted);
        }
    }
    Ok(Verdict::Unknown)
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
}

fn sight(
    address: &Address,
    server_name: String,
    client: &ClientConnection,
    observed: Observed,
    outcome: io::Result<Verdict>,
) -> Sight {
    let (verdict, refusal) = match outcome {
        Ok(verdict) => (verdict, None),
        Err(error) if is_timeout(&error) => (Verdict::Unknown, None),
        Err(error) => (Verdict::Refused, Some(printable(&error.to_string()))),
    };
    Sight {
        address: address.to_string(),
        server_name,
        tls_version: client.protocol_version().map(|version| match version {
            ProtocolVersion::TLSv1_2 => "TLS 1.2".to_owned(),
            ProtocolVersion::TLSv1_3 => "TLS 1.3".to_owned(),
            other => format!("{other:?}"),
        }),
        cipher_suite: client
            .negotiated_cipher_suite()
            .and_then(|suite| suite.suite().as_str().map(str::to_owned)),
        key_exchange: client
            .negotiated_key_exchange_group()
            .and_then(|group| group.name().as_str().map(str::to_owned)),
        protocol: client.alpn_protocol().map(|name| printable(&String::from_utf8_lossy(name))),
        proves_its_key: observed.proves_its_key,
        asks_for_client_certificate: observed.asked,
        accepted_authorities: observed.authorities,
        gave_client_certificate: observed.gave,
        verdict,
        refusal,
        chain: observed.chain,
    }
}
