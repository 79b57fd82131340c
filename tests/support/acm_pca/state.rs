//! All that the fake keeps: its authorities, what they issued, what was asked, what goes wrong.

use std::collections::{BTreeMap, HashMap};

use time::{Duration, OffsetDateTime};

use super::authority::{Authority, Rotation, Spec};
use super::clock::Clock;
use super::fault::{Fault, Faults};
use super::journal::{Call, Journal};
use super::key;
use super::refusal::Refusal;

/// The owner of everything.
pub const ACCOUNT: &str = "123456789012";

/// Which requests with one idempotency token are the same request. The API's reference speaks of
/// the token alone; which of the two the service does is not documented, so a client must live
/// with both.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Idempotency {
    /// Those with the same parameters too: another CSR is another certificate, paid for.
    #[default]
    TokenAndParameters,
    /// All: another CSR gets the first one's certificate.
    TokenAlone,
}

/// A certificate that was paid for.
#[derive(Clone, Debug)]
pub struct Issued {
    pub arn: String,
    /// The ARN of its authority.
    pub authority: String,
    pub serial: u128,
    pub der: Vec<u8>,
    /// What was above its authority when it was issued, with it.
    pub chain: Vec<Vec<u8>>,
    /// When GetCertificate has it.
    pub ready: OffsetDateTime,
    /// Why it was revoked.
    pub revoked: Option<String>,
}

/// The whole.
pub struct State {
    pub region: String,
    pub clock: Clock,
    /// By ARN.
    pub authorities: BTreeMap<String, Authority>,
    /// In the order of issuing.
    pub issued: Vec<Issued>,
    /// By what a request is known again; until when, and the certificate's ARN.
    pub tokens: HashMap<String, (OffsetDateTime, String)>,
    pub idempotency: Idempotency,
    /// How long a certificate takes after IssueCertificate.
    pub issuing_takes: Duration,
    /// How many calls a second each operation takes; those without are not limited.
    pub quotas: HashMap<String, usize>,
    pub faults: Faults,
    pub journal: Journal,
}

impl State {
    /// An empty one.
    pub fn new(region: &str) -> Self {
        Self {
            region: region.to_owned(),
            clock: Clock::default(),
            authorities: BTreeMap::new(),
            issued: Vec::new(),
            tokens: HashMap::new(),
            idempotency: Idempotency::default(),
            issuing_takes: Duration::ZERO,
            quotas: HashMap::new(),
            faults: Faults::default(),
            journal: Journal::default(),
        }
    }

    /// Adds an authority; gives its ARN.
    pub fn create(&mut self, spec: Spec) -> String {
        let [a, b, c, d, e, f, g, h, rest @ ..]: [u8; 16] = key::random();
        let number = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let groups: [String; 5] = [
            number(&[a, b, c, d]),
            number(&[e, f]),
            number(&[g & 0x0f | 0x40, h]),
            number(&[rest[0] & 0x3f | 0x80, rest[1]]),
            number(&rest[2..]),
        ];
        let region = &self.region;
        let id = groups.join("-");
        let arn = format!("arn:aws:acm-pca:{region}:{ACCOUNT}:certificate-authority/{id}");
        let above = spec.parent.as_ref().map(|parent| &self.authorities[parent]);
        let authority = Authority::create(arn.clone(), spec, above, self.clock.now());
        self.authorities.insert(arn.clone(), authority);
        arn
    }

    /// Gives an authority another certificate. Those below keep theirs.
    pub fn rotate(&mut self, arn: &str, rotation: Rotation) {
        let mut authority = self.authorities.remove(arn).expect("an authority of this fake");
        let above = authority.spec.parent.as_ref().map(|parent| &self.authorities[parent]);
        authority.rotate(rotation, above, self.clock.now());
        self.authorities.insert(arn.to_owned(), authority);
    }

    /// The fault of a call, and uses it up: the quota's, or one that was told.
    pub fn fault(&mut self, call: &Call) -> Option<Fault> {
        let taken = self.journal.taken_since(&call.operation, call.at - Duration::SECOND);
        if self.quotas.get(&call.operation).is_some_and(|quota| taken >= *quota) {
            return Some(Fault::throttled());
        }
        self.faults.strike(&call.operation, call.authority.as_deref())
    }

    /// The authority that an ARN names.
    pub fn authority(&self, arn: &str) -> Result<&Authority, Refusal> {
        let parts: Vec<_> = arn.split(':').collect();
        let ["arn", "aws", "acm-pca", _, _, id] = parts[..] else {
            return Err(Refusal::invalid_arn(arn));
        };
        if !id.starts_with("certificate-authority/") || id.matches('/').count() != 1 {
            return Err(Refusal::invalid_arn(arn));
        }
        self.authorities.get(arn).ok_or_else(|| Refusal::not_found(arn))
    }
}
