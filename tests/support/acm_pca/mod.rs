//! A fake of AWS Private CA: the same wire (AWS JSON 1.1 over HTTP, on loopback), so that the real
//! SDK talks to it, and what the documentation says of templates, passthrough, validity, idempotency
//! and errors; and it misbehaves as told. It shares no code with certctl: what it makes is made
//! byte by byte, so that neither judges itself.
//!
//! It listens on threads of its own, and its methods do not wait for its callers, so it serves sync
//! and async tests. Not under paused time: there a client's time-outs end before a socket answers.
//!
//! ```ignore
//! #[path = "../support/acm_pca/mod.rs"]
//! mod acm_pca;
//! use acm_pca::{Fake, Fault, Lie, Spec, Times};
//!
//! let fake = Fake::start();
//! let ca_1 = fake.create(Spec::root("ca_1"));
//! let below = fake.create(Spec::subordinate("ca_2", &ca_1).short_lived());
//! fake.misbehave("GetCertificate", Times::Next(3), Fault::pending());
//! fake.misbehave_at(&ca_1, "IssueCertificate", Times::Forever, Fault::throttled());
//! fake.misbehave("IssueCertificate", Times::Next(1), Fault::Lie(Lie::AnotherKey));
//! // … the real client against fake.endpoint(), in fake.region(), any credentials …
//! assert_eq!(fake.calls("IssueCertificate").len(), 2);
//! assert_eq!(fake.issued().len(), 1);
//! ```
//!
//! The same as a program, for demonstrations: `cargo run --example acm-pca-fake -- --help`.
//!
//! Not here: CRLs and OCSP, resource policies, CreateCertificateAuthority and its kin (moto has
//! those), ECDSA with the digest of another curve, and the check of the caller's signature. Where
//! the documentation is silent, the fake takes the harder way for a client: see [`Idempotency`].
#![allow(dead_code, reason = "no crate uses all of it")]
#![allow(clippy::expect_used, clippy::panic, reason = "a test panics")]

mod authority;
mod certificate;
mod clock;
mod control;
mod der;
mod fault;
mod issue;
mod journal;
mod key;
mod lie;
mod operations;
mod passthrough;
mod refusal;
mod request;
mod server;
mod state;
mod template;
mod validity;
mod wire;

use std::io;
use std::sync::Arc;

use time::{Duration, OffsetDateTime};
use tokio::runtime::Runtime;

#[allow(unused_imports, reason = "no crate uses all of it")]
pub use self::authority::{Rotation, Spec, Status, UsageMode};
pub use self::fault::Trouble;
#[allow(unused_imports, reason = "no crate uses all of it")]
pub use self::fault::{Fault, Lie, Times};
pub use self::journal::Call;
#[allow(unused_imports, reason = "no crate uses all of it")]
pub use self::key::KeyAlgorithm;
pub use self::state::{Idempotency, Issued};

use self::server::{Port, Server, Service};
use self::state::State;
use self::wire::Shared;

/// A running fake, with no authorities at first. Dropping it ends it.
pub struct Fake {
    server: Arc<Server>,
    control: Option<Port>,
    runtime: Option<Runtime>,
}

impl Fake {
    /// In us-east-1.
    pub fn start() -> Self {
        Self::in_region("us-east-1")
    }

    /// In a region; for several, start several.
    pub fn in_region(region: &str) -> Self {
        Self::on_port(region, 0).expect("a free port")
    }

    /// On a port of loopback; any for 0.
    pub fn on_port(region: &str, port: u16) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("acm-pca-fake")
            .enable_all()
            .build()?;
        let shared = Shared::new(State::new(region));
        let server = Server::start(runtime.handle().clone(), shared, port)?;
        Ok(Self { server: Arc::new(server), control: None, runtime: Some(runtime) })
    }

    /// The URL for the client's endpoint override.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// The region that its ARNs name, and that callers must sign for.
    pub fn region(&self) -> String {
        self.server.shared.lock().region.clone()
    }

    /// Listens for commands as well (`control.rs`); gives the URL to POST them to.
    pub fn control(&mut self) -> io::Result<String> {
        let runtime = self.runtime.as_ref().expect("until dropped").handle();
        let service = Service::Control(Arc::clone(&self.server));
        let mut port = Port::reserve(runtime, 0, service)?;
        port.listen(runtime, &self.server.shared)?;
        let address = port.address();
        self.control = Some(port);
        Ok(format!("http://{address}"))
    }

    /// Adds an authority, which is active at once; gives its ARN.
    pub fn create(&self, spec: Spec) -> String {
        self.server.shared.lock().create(spec)
    }

    /// Disables an authority, deletes it, and so on.
    pub fn set_status(&self, authority: &str, status: Status) {
        let mut state = self.server.shared.lock();
        state.authorities.get_mut(authority).expect("an authority of this fake").status = status;
    }

    /// Gives an authority another certificate, for the same or another key, from now on.
    pub fn rotate_ca_certificate(&self, authority: &str, rotation: Rotation) {
        self.server.shared.lock().rotate(authority, rotation);
    }

    /// An authority's certificate in DER, followed by those above it.
    pub fn ca_chain(&self, authority: &str) -> Vec<Vec<u8>> {
        self.server.shared.lock().authorities[authority].with_chain()
    }

    /// Misbehaves at calls of this operation. Of several faults the oldest that is left strikes.
    #[track_caller]
    pub fn misbehave(&self, operation: &str, times: Times, fault: Fault) {
        self.trouble(Trouble { operation: operation.to_owned(), authority: None, times, fault });
    }

    /// The same at calls that name this authority alone.
    #[track_caller]
    pub fn misbehave_at(&self, authority: &str, operation: &str, times: Times, fault: Fault) {
        let authority = Some(authority.to_owned());
        self.trouble(Trouble { operation: operation.to_owned(), authority, times, fault });
    }

    #[track_caller]
    fn trouble(&self, trouble: Trouble) {
        trouble.check().unwrap_or_else(|wrong| panic!("{wrong}"));
        self.server.shared.lock().faults.add(trouble);
    }

    /// Forgets every fault. Calls that hang go on hanging.
    pub fn behave(&self) {
        self.server.shared.lock().faults.clear();
    }

    /// Which requests with one idempotency token are the same.
    pub fn set_idempotency(&self, idempotency: Idempotency) {
        self.server.shared.lock().idempotency = idempotency;
    }

    /// Throttles an operation above so many calls in any second, by the fake's clock.
    pub fn set_quota(&self, operation: &str, calls: usize) {
        self.server.shared.lock().quotas.insert(operation.to_owned(), calls);
    }

    /// How long GetCertificate answers that it is not ready, by the fake's clock.
    pub fn issuing_takes(&self, time: Duration) {
        self.server.shared.lock().issuing_takes = time;
    }

    /// Moves the fake's clock, back when negative: what it issues, when tokens end.
    pub fn advance(&self, by: Duration) {
        self.server.shared.lock().clock.advance(by);
    }

    /// The time by the fake's clock.
    pub fn now(&self) -> OffsetDateTime {
        self.server.shared.lock().clock.now()
    }

    /// Refuses connections, and has closed those that there were, when this returns.
    pub fn stop(&self) {
        self.server.stop();
    }

    /// Listens again, on the same port.
    pub fn restart(&self) {
        self.server.restart().expect("our own port");
    }

    /// The calls of an operation, also those that were refused or got no answer, as they came.
    #[track_caller]
    pub fn calls(&self, operation: &str) -> Vec<Call> {
        assert!(operations::NAMES.contains(&operation), "no operation {operation}");
        let mut calls = self.all_calls();
        calls.retain(|call| call.operation == operation);
        calls
    }

    /// The calls of all operations, as they came.
    pub fn all_calls(&self) -> Vec<Call> {
        self.server.shared.lock().journal.calls().to_vec()
    }

    /// The most calls of an operation within any one second.
    pub fn peak_rate(&self, operation: &str) -> usize {
        self.server.shared.lock().journal.peak_rate(operation)
    }

    /// The most calls of an operation that were under way at once.
    pub fn peak_concurrency(&self, operation: &str) -> usize {
        self.calls(operation).iter().map(|call| call.concurrent).max().unwrap_or(0)
    }

    /// The certificates that were issued, each once: what AWS would bill.
    pub fn issued(&self) -> Vec<Issued> {
        self.server.shared.lock().issued.clone()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Also where a test drops it inside its own runtime, which may not wait.
            runtime.shutdown_background();
        }
    }
}
