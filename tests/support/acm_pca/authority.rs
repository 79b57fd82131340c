//! Certificate authorities: what a test asks for, and what the fake keeps of them.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::certificate::ToBeSigned;
use super::key::{self, KeyAlgorithm, SigningKey};
use super::passthrough::Subject;
use super::template::authority_extensions;

/// The API's `CertificateAuthorityStatus`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    #[default]
    Active,
    Creating,
    Deleted,
    Disabled,
    Expired,
    Failed,
    PendingCertificate,
}

/// The API's `CertificateAuthorityUsageMode`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum UsageMode {
    #[default]
    GeneralPurpose,
    /// Certificates of at most seven days.
    ShortLivedCertificate,
}

/// An authority to create.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// The common name of its subject.
    pub name: String,
    #[serde(default)]
    pub key_algorithm: KeyAlgorithm,
    #[serde(default)]
    pub usage_mode: UsageMode,
    /// The ARN of the authority above; a root without.
    #[serde(default)]
    pub parent: Option<String>,
    /// How many authorities may follow below; no limit without.
    #[serde(default)]
    pub path_length: Option<u8>,
    /// How long its certificate lasts, from now.
    #[serde(default = "ten_years")]
    pub days: i64,
}

fn ten_years() -> i64 {
    3_652
}

impl Spec {
    /// A root with a P-256 key, for ten years.
    pub fn root(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            key_algorithm: KeyAlgorithm::default(),
            usage_mode: UsageMode::default(),
            parent: None,
            path_length: None,
            days: ten_years(),
        }
    }

    /// An authority under another, whose ARN this is. It ends with the one above at the latest.
    pub fn subordinate(name: &str, parent: &str) -> Self {
        Self { parent: Some(parent.to_owned()), path_length: Some(0), ..Self::root(name) }
    }

    pub fn key(self, key_algorithm: KeyAlgorithm) -> Self {
        Self { key_algorithm, ..self }
    }

    pub fn short_lived(self) -> Self {
        Self { usage_mode: UsageMode::ShortLivedCertificate, ..self }
    }

    pub fn path_length(self, path_length: u8) -> Self {
        Self { path_length: Some(path_length), ..self }
    }

    pub fn days(self, days: i64) -> Self {
        Self { days, ..self }
    }
}

/// Which key an authority's next certificate is for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub enum Rotation {
    SameKey,
    AnotherKey,
}

/// An authority.
pub struct Authority {
    pub arn: String,
    pub spec: Spec,
    pub status: Status,
    pub created_at: OffsetDateTime,
    pub key: SigningKey,
    pub certificate: ToBeSigned,
    /// The DER of `certificate`, signed.
    pub der: Vec<u8>,
    /// The DER of those above it, up to the root.
    pub chain: Vec<Vec<u8>>,
}

impl Authority {
    /// Makes one, with its key.
    pub fn create(arn: String, spec: Spec, above: Option<&Self>, now: OffsetDateTime) -> Self {
        let key = SigningKey::generate(spec.key_algorithm);
        let subject = Subject::common_name(&spec.name).der().expect("a name");
        let (certificate, der) = sign(&spec, subject, &key, above, now);
        let chain = above.map(Self::with_chain).unwrap_or_default();
        let status = Status::Active;
        Self { arn, spec, status, created_at: now, key, certificate, der, chain }
    }

    /// Gives it another certificate, for its own or another key. Its name stays.
    pub fn rotate(&mut self, rotation: Rotation, above: Option<&Self>, now: OffsetDateTime) {
        if rotation == Rotation::AnotherKey {
            self.key = SigningKey::generate(self.spec.key_algorithm);
        }
        let subject = self.certificate.subject.clone();
        (self.certificate, self.der) = sign(&self.spec, subject, &self.key, above, now);
        self.chain = above.map(Self::with_chain).unwrap_or_default();
    }

    /// Its certificate and those above it.
    pub fn with_chain(&self) -> Vec<Vec<u8>> {
        std::iter::once(&self.der).chain(&self.chain).cloned().collect()
    }

    /// The key identifier that what it signs names.
    pub fn key_identifier(&self) -> Vec<u8> {
        key::identifier_of(&self.certificate.public_key)
    }
}

fn sign(
    spec: &Spec,
    subject: Vec<u8>,
    key: &SigningKey,
    above: Option<&Authority>,
    now: OffsetDateTime,
) -> (ToBeSigned, Vec<u8>) {
    let public_key = key.public();
    let not_after = now + Duration::days(spec.days);
    let last = above.map_or(not_after, |above| above.certificate.not_after);
    let certificate = ToBeSigned {
        serial: super::issue::serial(),
        issuer: above.map_or_else(|| subject.clone(), |above| above.certificate.subject.clone()),
        issuer_key: above
            .map_or_else(|| key::identifier_of(&public_key), Authority::key_identifier),
        not_before: now - Duration::HOUR,
        not_after: not_after.min(last),
        subject,
        public_key,
        extensions: authority_extensions(spec.path_length),
    };
    let signer = above.map_or(key, |above| &above.key);
    let der = certificate.sign(signer, signer.algorithm().signing_algorithm());
    (certificate, der)
}
