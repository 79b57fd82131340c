//! Stands where a TLS client verifies and presents certificates, and writes down what it sees.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature,
    verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

use crate::x509::certificate::name_in_words;

/// What was seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Observed {
    /// The server's certificates, in its order, in DER.
    pub chain: Vec<Vec<u8>>,
    /// Whether its signature of the handshake verified with the key of the first.
    pub proves_its_key: bool,
    /// Whether it asked for a client certificate.
    pub asked: bool,
    /// The CA names that it hinted.
    pub authorities: Vec<String>,
    /// Whether it was given a client certificate.
    pub gave: bool,
}

/// How a version of TLS verifies the signature of a handshake.
type VerifySignature = fn(
    &[u8],
    &CertificateDer<'_>,
    &DigitallySignedStruct,
    &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error>;

/// Accepts every server and notes what it sends.
#[derive(Debug)]
pub(super) struct Observer {
    provider: Arc<CryptoProvider>,
    identity: Option<Arc<CertifiedKey>>,
    observed: Mutex<Observed>,
}

impl Observer {
    pub(super) fn new(identity: Option<Arc<CertifiedKey>>) -> Self {
        let provider = Arc::new(aws_lc_rs::default_provider());
        Self { provider, identity, observed: Mutex::default() }
    }

    pub(super) fn provider(&self) -> Arc<CryptoProvider> {
        self.provider.clone()
    }

    pub(super) fn observed(&self) -> Observed {
        self.note().clone()
    }

    fn note(&self) -> MutexGuard<'_, Observed> {
        self.observed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes whether the signature holds, and goes on either way: a key too weak for us is still
    /// to be shown.
    fn judge(
        &self,
        verify: VerifySignature,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        let result = verify(message, certificate, signature, algorithms);
        self.note().proves_its_key = result.is_ok();
        Ok(HandshakeSignatureValid::assertion())
    }
}

impl ServerCertVerifier for Observer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.note().chain = std::iter::once(end_entity)
            .chain(intermediates)
            .map(|certificate| certificate.to_vec())
            .collect();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judge(verify_tls12_signature, message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judge(verify_tls13_signature, message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ResolvesClientCert for Observer {
    fn resolve(
        &self,
        root_hint_subjects: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let mut note = self.note();
        note.asked = true;
        note.authorities = root_hint_subjects.iter().map(|name| name_in_words(name)).collect();
        note.gave = self.identity.is_some();
        self.identity.clone()
    }

    fn has_certs(&self) -> bool {
        true
    }
}
