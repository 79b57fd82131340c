//! `certctl inspect` on live endpoints.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};

use super::{certs_sh, inspect, json};
use crate::support::openssl::Openssl;
use crate::support::wait::DEADLINE;

#[test]
fn a_live_endpoint_shows_its_chain_and_whom_it_asks_for() {
    let openssl = certs_sh();
    let chain = chain(&openssl, &["front.pem", "ca.pem"]);
    let plain = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth();
    let mut plain = plain.with_single_cert(chain.clone(), key(&openssl)).unwrap();
    plain.alpn_protocols = vec![b"h2".to_vec()];
    let (address, server) = serve(plain, 2);
    let value = json(&openssl, &format!("{address} --server-name front.example --alpn h2"));
    let source = &value["sources"][0];
    let endpoint = &source["endpoint"];
    assert_eq!(endpoint["tlsVersion"], "TLS 1.3");
    assert_eq!(endpoint["serverName"], "front.example");
    assert_eq!(endpoint["protocol"], "h2");
    assert_eq!(endpoint["asksForClientCertificate"], false);
    assert_eq!(endpoint["provesItsKey"], true);
    assert_eq!(endpoint["verdict"], "accepted");
    assert_eq!(source["items"][0]["subject"], "CN=front.example");
    assert_eq!(source["items"].as_array().unwrap().len(), 2);
    let (_, text) = inspect(&openssl, &address.to_string());
    assert!(text.contains("client cert    not asked for"), "{text}");
    server.join().unwrap();

    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        let mut roots = RootCertStore::empty();
        roots.add(chain[1].clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .unwrap();
        let mutual = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key(&openssl))
            .unwrap();
        let (address, server) = serve(mutual, 2);
        let address = address.to_string();
        let (code, text) = inspect(&openssl, &address);
        assert_eq!(code, Some(0), "{text}");
        for line in [
            "client cert    asked for, of O=Example, CN=ca_1; none given",
            "outcome        refused us: ",
            "CN=front.example",
        ] {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
        let value = json(&openssl, &format!("{address} --cert chain.pem --key front_key.pem"));
        let endpoint = &value["sources"][0]["endpoint"];
        assert_eq!(endpoint["gaveClientCertificate"], true);
        assert_eq!(endpoint["verdict"], "accepted", "{value}");
        server.join().unwrap();
    }
}

#[test]
fn what_is_no_tls_endpoint_is_told_in_time() {
    let openssl = Openssl::new();
    // Bound and never listened on, so that nobody else can come to listen there.
    let closed = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&closed, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = SocketAddr::try_from(getsockname(&closed).unwrap()).unwrap();
    let (code, text) = inspect(&openssl, &address.to_string());
    assert!(code == Some(1) && text.contains("cannot connect to 127.0.0.1"), "{text}");

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let (code, text) = inspect(&openssl, &format!("{address} --timeout 200ms"));
    assert!(
        code == Some(1) && text.contains("did not complete a TLS handshake within 0.2 s"),
        "{text}"
    );

    let listener = TcpListener::bind("[::1]:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        drop(socket.read(&mut [0; 4096]));
    });
    let (code, text) = inspect(&openssl, &address);
    assert!(code == Some(1) && text.contains("not with a TLS handshake"), "{text}");
    server.join().unwrap();
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn chain(openssl: &Openssl, files: &[&str]) -> Vec<CertificateDer<'static>> {
    files
        .iter()
        .map(|file| CertificateDer::from(pem::parse(openssl.read(file)).unwrap().into_contents()))
        .collect()
}

fn key(openssl: &Openssl) -> PrivateKeyDer<'static> {
    let der = pem::parse(openssl.read("front_key.pem")).unwrap().into_contents();
    PrivateKeyDer::try_from(der).unwrap()
}

/// A TLS server on a free port of loopback that ends by itself after so many connections.
fn serve(config: ServerConfig, connections: usize) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let config = Arc::new(config);
    let server = thread::spawn(move || {
        for _ in 0..connections {
            let (mut socket, _) = listener.accept().unwrap();
            socket.set_read_timeout(Some(DEADLINE)).unwrap();
            let mut server = ServerConnection::new(config.clone()).unwrap();
            // Refusals are the client's to tell; a goodbye is answered with one.
            while server.complete_io(&mut socket).is_ok_and(|(read, _)| read > 0) {}
            server.send_close_notify();
            drop(server.write_tls(&mut socket));
        }
    });
    (address, server)
}
