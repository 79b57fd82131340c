//! When a credential is kept and when it is made anew: pure, the same for every sink.
//!
//! Decides from what is wanted, what is held and the time; touches neither files nor clocks.

use std::fmt;

use crate::authority::CaChain;
use crate::desired::{Desired, Identity};
use crate::store::{Damage, Held};
use crate::time::{OffsetDateTime, later, renewal_due, rfc3339};
use crate::x509::certificate::Certificate;
use crate::x509::credential::{Chain, Credential, CredentialError};
use crate::x509::key::{KeyAlgorithm, PrivateKey};
use crate::x509::profile::LeafProfile;
use crate::x509::verification::Roots;

pub mod cost;
pub mod queue;
pub mod schedule;
pub mod transition;

/// What is to be done about one identity.
#[derive(Debug)]
pub enum Decision {
    /// It stays as it is.
    Keep(Renewal),
    /// A new key and certificate are made.
    Issue(Reason),
}

/// When a kept certificate is next renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// At this moment.
    Due(OffsetDateTime),
    /// Not before its authority is replaced: it already lives as long as the authority does, so a
    /// renewal would gain nothing, however often it were tried.
    WithAuthority {
        /// When the authority, and with it the certificate, ends.
        ends: OffsetDateTime,
    },
}

/// Why a credential is made anew.
#[derive(Debug)]
pub enum Reason {
    /// Somebody asked for it.
    Forced,
    /// There was none.
    New,
    /// What is held is unusable.
    Damaged(Damage),
    /// What is held does not verify, though it is of the right authority.
    Untrusted(CredentialError),
    /// Other names are wanted.
    Names(String),
    /// Another key algorithm is wanted.
    KeyAlgorithm {
        /// The held one.
        held: KeyAlgorithm,
        /// The wanted one.
        wanted: KeyAlgorithm,
    },
    /// Another authority is to sign.
    Authority {
        /// The issuer of what is held, in words.
        held: String,
    },
    /// The authority has another certificate than when it signed, for the same key.
    AuthorityChanged,
    /// The authority is another CA than the one that signed, of the same name.
    AuthorityReplaced,
    /// Another lifetime or clock skew is wanted.
    Lifetime,
    /// It has expired.
    Expired(OffsetDateTime),
    /// It is not valid yet: the clock was set back.
    NotYetValid(OffsetDateTime),
    /// Half of its life, and a little more, is over.
    Due(OffsetDateTime),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forced => f.write_str("asked for"),
            Self::New => f.write_str("there was none"),
            Self::Damaged(damage) => damage.fmt(f),
            Self::Untrusted(error) => error.fmt(f),
            Self::Names(difference) => write!(f, "the held one {difference}"),
            Self::KeyAlgorithm { held, wanted } => write!(f, "its key is {held}, wanted {wanted}"),
            Self::Authority { held } => write!(f, "it was signed by {held:?}"),
            Self::AuthorityChanged => f.write_str("its authority has a new certificate"),
            Self::AuthorityReplaced => f.write_str("its authority is a new CA of the same name"),
            Self::Lifetime => f.write_str("another lifetime or clock skew is wanted"),
            Self::Expired(at) => write!(f, "it expired at {}", rfc3339(*at)),
            Self::NotYetValid(at) => write!(f, "it is not valid before {}", rfc3339(*at)),
            Self::Due(at) => write!(f, "due since {}", rfc3339(*at)),
        }
    }
}

/// The leaf profile of an identity.
pub fn profile(desired: &Desired, identity: &Identity) -> LeafProfile {
    LeafProfile {
        spiffe_id: identity.spiffe_id.clone(),
        dns_names: identity.dns_names.clone(),
        lifetime: identity.lifetime,
        clock_skew: desired.clock_skew,
    }
}

/// Decides about one identity from what a place holds of it. `authority` is its signer as it will
/// be; whether that can sign now is another question.
pub fn decide(
    profile: &LeafProfile,
    algorithm: KeyAlgorithm,
    authority: &CaChain,
    held: Held,
    now: OffsetDateTime,
) -> Decision {
    let (key, mut chain) = match held {
        Held::Nothing => return Decision::Issue(Reason::New),
        Held::Damaged(damage) => return Decision::Issue(Reason::Damaged(damage)),
        Held::Pair { chain, .. } if chain.is_empty() => return Decision::Issue(Reason::New),
        Held::Pair { key, chain } => (key, chain),
    };
    let leaf = chain.remove(0);
    let reason = differs(profile, algorithm, authority, (key.algorithm(), &leaf, &chain))
        .or_else(|| {
            verified(leaf.clone(), chain, authority.roots(), now).err().map(Reason::Untrusted)
        })
        .or_else(|| is_over(profile, authority, &leaf, now));
    decision(reason, profile, authority, &leaf)
}

/// Decides about one identity from the credential that it has. That was verified; where
/// `authority` stands under another root than then, it is to be [`adopted`](adopt) anew first.
pub fn judge(
    profile: &LeafProfile,
    algorithm: KeyAlgorithm,
    authority: &CaChain,
    credential: &Credential,
    now: OffsetDateTime,
) -> Decision {
    let (leaf, issuers) = (credential.leaf(), credential.chain().issuers());
    let reason =
        differs(profile, algorithm, authority, (credential.key().algorithm(), leaf, issuers))
            .or_else(|| is_over(profile, authority, leaf, now));
    decision(reason, profile, authority, leaf)
}

/// Makes a credential of a key and a chain that were kept, if they verify against `roots` at a
/// moment within their own validity: whether that is over is for others to judge.
///
/// # Errors
/// When they do not.
pub fn adopt(
    key: PrivateKey,
    leaf: Certificate,
    issuers: Vec<Certificate>,
    roots: &Roots,
    now: OffsetDateTime,
) -> Result<Credential, CredentialError> {
    Credential::new(key, verified(leaf, issuers, roots, now)?)
}

/// Makes a credential of a key and a leaf that `authority` issued for it, under the certificate that
/// it has by now.
///
/// # Errors
/// When the leaf does not verify under that.
pub fn rechain(
    key: PrivateKey,
    leaf: Certificate,
    authority: &CaChain,
    now: OffsetDateTime,
) -> Result<Credential, CredentialError> {
    adopt(key, leaf, authority.issuers().to_vec(), authority.roots(), now)
}

fn decision(
    reason: Option<Reason>,
    profile: &LeafProfile,
    authority: &CaChain,
    leaf: &Certificate,
) -> Decision {
    match reason {
        Some(reason) => Decision::Issue(reason),
        None => Decision::Keep(renewal(leaf, profile, authority)),
    }
}

/// How a leaf is not the one that is wanted, its times and signatures aside.
fn differs(
    profile: &LeafProfile,
    algorithm: KeyAlgorithm,
    authority: &CaChain,
    (held, leaf, issuers): (KeyAlgorithm, &Certificate, &[Certificate]),
) -> Option<Reason> {
    if let Some(difference) = profile.difference_in_names(leaf) {
        return Some(Reason::Names(difference));
    }
    if held != algorithm {
        return Some(Reason::KeyAlgorithm { held, wanted: algorithm });
    }
    let own = authority.own();
    if leaf.issuer_der() != own.subject_der() {
        return Some(Reason::Authority { held: leaf.issuer() });
    }
    if !leaf.names_as_issuer(own) {
        return Some(Reason::AuthorityReplaced);
    }
    (issuers != authority.issuers()).then_some(Reason::AuthorityChanged)
}

/// Judged at a moment within its own validity: whether that is over is told apart.
fn verified(
    leaf: Certificate,
    issuers: Vec<Certificate>,
    roots: &Roots,
    now: OffsetDateTime,
) -> Result<Chain, CredentialError> {
    let validity = leaf.validity();
    let within = now.clamp(validity.not_before, validity.not_after.max(validity.not_before));
    Chain::verify(leaf, issuers, roots, within)
}

/// How a leaf's times call for a new one.
fn is_over(
    profile: &LeafProfile,
    authority: &CaChain,
    leaf: &Certificate,
    now: OffsetDateTime,
) -> Option<Reason> {
    let validity = leaf.validity();
    if now < validity.not_before {
        return Some(Reason::NotYetValid(validity.not_before));
    }
    if now > validity.not_after {
        return Some(Reason::Expired(validity.not_after));
    }
    let issued_at = later(validity.not_before, profile.clock_skew);
    let wanted_end = later(issued_at, profile.lifetime.duration()).min(authority.ends());
    // An authority that counts both ends itself may be a second off between them; it would be asked,
    // and paid, for ever.
    if (validity.not_after - wanted_end).abs() > time::Duration::SECOND {
        return Some(Reason::Lifetime);
    }
    match renewal(leaf, profile, authority) {
        Renewal::Due(due) if due <= now => Some(Reason::Due(due)),
        _ => None,
    }
}

/// When a certificate of this profile, signed by `authority`, is to be renewed. Its age counts from
/// when it was issued, not from its back-dated notBefore.
pub fn renewal(leaf: &Certificate, profile: &LeafProfile, authority: &CaChain) -> Renewal {
    let validity = leaf.validity();
    if validity.not_after >= authority.ends() {
        return Renewal::WithAuthority { ends: authority.ends() };
    }
    let issued_at = later(validity.not_before, profile.clock_skew);
    Renewal::Due(renewal_due(issued_at, validity.not_after, &leaf.fingerprint()))
}

#[cfg(test)]
mod tests;
