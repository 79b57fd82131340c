//! AWS Private CA in memory, in tokio's time, which does as it is told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use time::macros::datetime;
use tokio::time::{Instant, sleep};

use super::*;
use crate::authority::Authority;
use crate::desired::acm_pca::{LeafTemplate, Rates};
use crate::identity::AuthorityName;
use crate::time::Clock;

mod making;

use making::make;
pub use making::{local, profile, root};

pub const NOW: OffsetDateTime = datetime!(2026-11-21 8:00 UTC);
pub const SKEW: Duration = Duration::from_secs(300);

/// What a call does in place of what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Well,
    Throttle,
    Hang,
    /// Does all of it, and its answer gets lost.
    LoseReply,
    LimitExceeded,
    InvalidState,
    Denied,
    Unreachable,
    Refuse,
    /// The certificate comes to nothing.
    Fail,
    /// For an IssueCertificate: its certificate is another one.
    Lie(Lie),
}

/// How a certificate is another than the one that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    Key,
    SpiffeId,
    DnsNames,
    Issuer,
    Expired,
    Longer,
    Earlier,
    Ca,
    Garbage,
    Nothing,
    Two,
}

impl Lie {
    pub const ALL: [(Self, &'static str); 11] = [
        (Self::Key, "another key"),
        (Self::SpiffeId, "is for [\"spiffe://example.org/other\"]"),
        (Self::DnsNames, "has the DNS names"),
        (Self::Issuer, "is not trusted"),
        (Self::Expired, "it is valid from"),
        (Self::Longer, "it is valid from"),
        (Self::Earlier, "it is valid from"),
        (Self::Ca, "is for no name"),
        (Self::Garbage, "malformed"),
        (Self::Nothing, "no PEM block"),
        (Self::Two, "there are 2 certificates where one belongs"),
    ];
}

/// A call that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    Describe,
    Issue,
    Get,
}

/// One CA of AWS.
#[derive(Debug)]
pub struct Fake {
    pub ca: PrivateCa,
    authority: Authority,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    makes_in: Duration,
    off_by: Duration,
    always: Act,
    issue: VecDeque<Act>,
    get: VecDeque<Act>,
    describe: Act,
    description: Description,
    calls: Vec<(Instant, Called)>,
    names: Vec<String>,
    made: BTreeMap<String, Made>,
}

#[derive(Clone, Debug)]
struct Made {
    token: String,
    asked: Instant,
    ready: Instant,
    pem: IssuedPem,
    gets: usize,
}

impl Fake {
    pub fn new(region: &str) -> Arc<Self> {
        Self::with(region, |_| {})
    }

    pub fn with(region: &str, adjust: impl FnOnce(&mut PrivateCa)) -> Arc<Self> {
        let arn = format!("arn:aws:acm-pca:{region}:111122223333:certificate-authority/{region}");
        let mut ca = PrivateCa {
            arn: CaArn::parse(&arn).unwrap(),
            endpoint: None,
            certificates: None,
            template: LeafTemplate::default(),
            rates: Rates::default(),
            max_certificates_per_hour: None,
            price_per_certificate: None,
        };
        adjust(&mut ca);
        let authority = root(region);
        Arc::new(Self {
            ca,
            state: Mutex::new(State {
                description: Description {
                    status: CaStatus::Active,
                    key_algorithm: Some(authority.key_algorithm()),
                    key_algorithm_name: "EC_prime256v1".to_owned(),
                    is_short_lived: false,
                    is_root: true,
                    not_after: Some(authority.ends()),
                },
                makes_in: Duration::from_millis(700),
                off_by: Duration::ZERO,
                always: Act::Well,
                issue: VecDeque::new(),
                get: VecDeque::new(),
                describe: Act::Well,
                calls: Vec::new(),
                names: Vec::new(),
                made: BTreeMap::new(),
            }),
            authority,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn known(&self) -> KnownCa {
        KnownCa {
            ca: self.ca.clone(),
            key_algorithm: self.authority.key_algorithm(),
            is_short_lived: false,
            chain: self.authority.certificates().clone(),
        }
    }

    /// The next calls of IssueCertificate do this, and then well.
    pub fn next_issues(&self, acts: impl IntoIterator<Item = Act>) {
        self.state().issue.extend(acts);
    }

    /// The next calls of GetCertificate.
    pub fn next_gets(&self, acts: impl IntoIterator<Item = Act>) {
        self.state().get.extend(acts);
    }

    /// All calls do this from now on.
    pub fn always(&self, act: Act) {
        let mut state = self.state();
        (state.always, state.describe) = (act, act);
    }

    /// DescribeCertificateAuthority does this from now on, whatever the others do.
    pub fn describes(&self, act: Act) {
        self.state().describe = act;
    }

    /// Its description is another from now on.
    pub fn describe_as(&self, change: impl FnOnce(&mut Description)) {
        change(&mut self.state().description);
    }

    /// It knows nothing of what it made.
    pub fn forget(&self) {
        self.state().made.clear();
    }

    pub fn makes_in(&self, time: Duration) {
        self.state().makes_in = time;
    }

    /// It counts validity from so much later than it was asked to.
    pub fn is_off_by(&self, by: Duration) {
        self.state().off_by = by;
    }

    pub fn count(&self, called: Called) -> usize {
        self.calls(called).len()
    }

    pub fn calls(&self, called: Called) -> Vec<Instant> {
        let state = self.state();
        state.calls.iter().filter(|(_, what)| *what == called).map(|(at, _)| *at).collect()
    }

    /// The certificates that are paid for.
    pub fn paid(&self) -> usize {
        self.state().made.len()
    }

    /// The most GetCertificates that any certificate took.
    pub fn most_gets(&self) -> usize {
        self.state().made.values().map(|made| made.gets).max().unwrap_or(0)
    }

    /// The first DNS name of each that was asked for, in order.
    pub fn names(&self) -> Vec<String> {
        self.state().names.clone()
    }

    fn call(&self, called: Called) -> Act {
        let mut state = self.state();
        state.calls.push((Instant::now(), called));
        let next = match called {
            Called::Describe => return state.describe,
            Called::Issue => state.issue.pop_front(),
            Called::Get => state.get.pop_front(),
        };
        next.unwrap_or(state.always)
    }

    fn begin(&self, request: &IssueRequest, lie: Option<Lie>) -> String {
        let now = Instant::now();
        let known = self.state().made.iter().find_map(|(arn, made)| {
            let is_same = made.token == request.idempotency_token
                && now - made.asked < Duration::from_secs(300);
            is_same.then(|| arn.clone())
        });
        if let Some(arn) = known {
            return arn;
        }
        let off_by = self.state().off_by;
        let pem = make(&self.authority, request, off_by, lie);
        let mut state = self.state();
        let arn = format!("{}/certificate/{}", self.ca.arn, state.made.len() + 1);
        let name = request.passthrough.as_ref().and_then(|names| names.dns_names.first().cloned());
        state.names.push(name.unwrap_or_default());
        let (token, ready) = (request.idempotency_token.clone(), now + state.makes_in);
        state.made.insert(arn.clone(), Made { token, asked: now, ready, pem, gets: 0 });
        arn
    }

    async fn answered(act: Act) -> Result<(), ServiceError> {
        sleep(Duration::from_millis(5)).await;
        let message = "as it was told".to_owned();
        match act {
            Act::Well | Act::Lie(_) => Ok(()),
            Act::Throttle => Err(ServiceError::Throttled { message }),
            Act::Hang => std::future::pending().await,
            Act::LoseReply | Act::Unreachable => Err(ServiceError::Unreachable { message }),
            Act::LimitExceeded => Err(ServiceError::LimitExceeded { message }),
            Act::InvalidState => Err(ServiceError::InvalidState { message }),
            Act::Denied => Err(ServiceError::Denied { message }),
            Act::Refuse => Err(ServiceError::Refused { message }),
            Act::Fail => Err(ServiceError::Failed { message }),
        }
    }
}

impl Service for Arc<Fake> {
    fn describe<'a>(&'a self, _: &'a CaArn) -> Answer<'a, Description> {
        Box::pin(async move {
            let act = self.call(Called::Describe);
            Fake::answered(act).await?;
            Ok(self.state().description.clone())
        })
    }

    fn ca_certificate<'a>(&'a self, _: &'a CaArn) -> Answer<'a, IssuedPem> {
        Box::pin(async move {
            let act = self.state().describe;
            Fake::answered(act).await?;
            let certificate = self.authority.certificate().to_pem();
            Ok(IssuedPem { certificate, chain: String::new() })
        })
    }

    fn issue<'a>(&'a self, _: &'a CaArn, request: &'a IssueRequest) -> Answer<'a, String> {
        Box::pin(async move {
            let act = self.call(Called::Issue);
            sleep(Duration::from_millis(20)).await;
            let arn = match act {
                Act::Well | Act::LoseReply => self.begin(request, None),
                Act::Lie(lie) => self.begin(request, Some(lie)),
                _ => String::new(),
            };
            Fake::answered(act).await.map(|()| arn)
        })
    }

    fn certificate<'a>(&'a self, _: &'a CaArn, arn: &'a str) -> Answer<'a, Option<IssuedPem>> {
        Box::pin(async move {
            let act = self.call(Called::Get);
            Fake::answered(act).await?;
            let mut state = self.state();
            let Some(made) = state.made.get_mut(arn) else {
                return Err(ServiceError::NotFound { message: arn.to_owned() });
            };
            made.gets += 1;
            Ok((made.ready <= Instant::now()).then(|| made.pem.clone()))
        })
    }

    fn revoke<'a>(&'a self, _: &'a CaArn, _: &'a str, _: RevocationReason) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// Knows the way to these.
#[derive(Debug)]
pub struct Fakes(pub Vec<Arc<Fake>>);

impl Connect for Fakes {
    fn service(&self, ca: &PrivateCa) -> Arc<dyn Service> {
        let fake = self.0.iter().find(|fake| fake.ca.arn == ca.arn).unwrap();
        Arc::new(Arc::clone(fake))
    }
}

/// A pool over these, the authority that they make, and the clock's hand.
pub fn pool(fakes: &[&Arc<Fake>]) -> (Pool, RemoteAuthority) {
    let (clock, _) = Clock::simulated(NOW);
    pool_at(fakes, clock)
}

pub fn pool_at(fakes: &[&Arc<Fake>], clock: Clock) -> (Pool, RemoteAuthority) {
    let connect = Fakes(fakes.iter().map(|fake| Arc::clone(fake)).collect());
    let known = fakes.iter().map(|fake| fake.known()).collect();
    let authority = RemoteAuthority::new(AuthorityName::parse("ca_1").unwrap(), known).unwrap();
    (Pool::new(Arc::new(connect), clock), authority)
}

/// Keeps in memory, with moments in which it can be cut off.
#[derive(Debug, Default)]
pub struct Memory {
    kept: Mutex<Option<Submission>>,
    pub wasted: Mutex<Vec<Wasted>>,
    pub fails: std::sync::atomic::AtomicBool,
}

impl Memory {
    /// As it is read after a crash.
    pub fn read(&self) -> Option<Submission> {
        let kept = self.kept.lock().unwrap().clone()?;
        Some(Submission::from_json(kept.to_json()).unwrap())
    }
}

impl Ledger for Memory {
    fn keep<'a>(&'a self, submission: &'a Submission) -> BoxFuture<'a, Result<(), KeepError>> {
        async move {
            tokio::task::yield_now().await;
            if self.fails.load(std::sync::atomic::Ordering::Relaxed) {
                return Err(KeepError("the disk is full".into()));
            }
            *self.kept.lock().unwrap() = Some(submission.clone());
            tokio::task::yield_now().await;
            Ok(())
        }
        .boxed()
    }

    fn wasted<'a>(&'a self, wasted: &'a Wasted) -> BoxFuture<'a, ()> {
        async move {
            tokio::task::yield_now().await;
            self.wasted.lock().unwrap().push(wasted.clone());
        }
        .boxed()
    }

    fn forget(&self) -> BoxFuture<'_, Result<(), KeepError>> {
        async move {
            tokio::task::yield_now().await;
            *self.kept.lock().unwrap() = None;
            tokio::task::yield_now().await;
            Ok(())
        }
        .boxed()
    }
}
