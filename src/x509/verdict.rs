//! Whether a peer would accept a chain, rule by rule: what [`super::verification`] answers as a
//! whole, taken apart so that it shows which certificate breaks which rule.

use rustls_pki_types::CertificateDer;
use serde::Serialize;

use super::certificate::Certificate;
use super::key::PublicKey;
use super::verification::{Purpose, Roots, VerificationError, is_valid_for};
use crate::identity::{DnsName, IdentityError, SpiffeId};
use crate::time::{OffsetDateTime, rfc3339};

/// What is asked about a chain.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What the leaf is to be good for.
    pub purposes: &'a [Purpose],
    /// The name that the leaf should have; none to leave names alone.
    pub name: Option<&'a PeerName>,
    /// The key that the leaf should be for.
    pub key: Option<&'a PublicKey>,
    /// The moment at which it should hold.
    pub at: OffsetDateTime,
}

/// A name that a peer is expected by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerName {
    /// As a server's or client's DNS SAN.
    Dns(DnsName),
    /// As the URI SAN of an X.509-SVID.
    Id(SpiffeId),
}

impl std::str::FromStr for PeerName {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        if text.contains("://") {
            SpiffeId::parse(text).map(Self::Id)
        } else {
            DnsName::parse(text).map(Self::Dns)
        }
    }
}

/// A rule that a chain keeps or breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Rule {
    /// Signatures lead from the leaf to a trusted root.
    Chain,
    /// The leaf is for the key.
    Key,
    /// The leaf has the name.
    Name,
    /// The leaf comes first and each certificate's issuer after it.
    Order,
    /// Every certificate is valid at the moment.
    Time,
    /// The leaf may be used as a client, a server, or both.
    Usage,
}

/// How a rule and a chain stand to each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// Whether it is kept.
    pub holds: bool,
    /// What was found, in words.
    pub detail: String,
    /// What to do where it is broken.
    pub advice: Option<String>,
}

impl Finding {
    fn kept(rule: Rule, detail: impl Into<String>) -> Self {
        Self { rule, holds: true, detail: detail.into(), advice: None }
    }

    fn broken(rule: Rule, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { rule, holds: false, detail: detail.into(), advice: Some(advice.into()) }
    }
}

/// Judges a chain (leaf first; at least one certificate) by the certificates that a peer trusts.
/// One finding for each rule that the question asks about; all of them hold only if rustls-webpki
/// accepts the chain for every purpose at the moment asked about.
///
/// # Errors
/// When a certificate of the bundle cannot be a trust anchor.
pub fn judge(
    chain: &[Certificate],
    bundle: &[Certificate],
    question: Question<'_>,
) -> Result<Vec<Finding>, VerificationError> {
    let Some(leaf) = chain.first() else { return Ok(Vec::new()) };
    let case = Case { leaf, chain, bundle, roots: Roots::new(bundle)?, question };
    let mut findings = vec![case.order(), case.path(), case.time(), case.usage()];
    findings.extend(question.name.map(|name| case.name(name)));
    findings.extend(question.key.map(|key| case.key(key)));
    // The rules above are webpki's own, taken apart: should they ever differ, webpki's word counts.
    let whole = question.purposes.iter().find_map(|p| case.verify(*p, question.at).err());
    if let Some(error) = whole
        && findings.iter().all(|finding| finding.holds)
    {
        findings[1] = case.no_path(&error);
    }
    Ok(findings)
}

struct Case<'a> {
    leaf: &'a Certificate,
    chain: &'a [Certificate],
    bundle: &'a [Certificate],
    roots: Roots,
    question: Question<'a>,
}

impl Case<'_> {
    fn verify(&self, purpose: Purpose, at: OffsetDateTime) -> Result<(), VerificationError> {
        let above: Vec<CertificateDer<'_>> =
            self.chain[1..].iter().map(|certificate| certificate.der().clone()).collect();
        self.roots.verify(self.leaf, &above, purpose, at)
    }

    /// Which certificate is meant, where there are several.
    fn title(&self, at: usize) -> String {
        let certificate = &self.chain[at];
        let subject = match certificate.subject() {
            subject if subject.is_empty() => {
                certificate.names().uris.first().cloned().unwrap_or_default()
            }
            subject => subject,
        };
        match self.chain.len() {
            1 => format!("the certificate {subject:?}"),
            count => format!("certificate {} of {count} ({subject:?})", at + 1),
        }
    }

    fn order(&self) -> Finding {
        let rule = Rule::Order;
        let advice = "write the leaf first, then each certificate's issuer";
        let leaf = self.chain.iter().position(|c| c.ca_constraint().is_none());
        if let Some(leaf) = leaf.filter(|leaf| *leaf > 0) {
            let detail = format!(
                "{} is the leaf and not the first; Envoy refuses the file",
                self.title(leaf)
            );
            return Finding::broken(rule, detail, advice);
        }
        for (at, pair) in self.chain.windows(2).enumerate() {
            if pair[0].issuer_der() != pair[1].subject_der() {
                let detail = format!(
                    "{} was issued by {:?}, which is not what follows it",
                    self.title(at),
                    pair[0].issuer()
                );
                return Finding::broken(rule, detail, advice);
            }
        }
        Finding::kept(
            rule,
            match self.chain.len() {
                1 => "one certificate".to_owned(),
                count => format!("the leaf first, then {} above it", count - 1),
            },
        )
    }

    /// Whether there is a path at all, its times and usages left to their own rules.
    fn path(&self) -> Finding {
        let begins = self.chain.iter().map(|c| c.validity().not_before).max();
        let moments = [Some(self.question.at), begins];
        let mut failure = None;
        for at in moments.into_iter().flatten() {
            for purpose in [Purpose::Client, Purpose::Server] {
                match self.verify(purpose, at) {
                    Ok(()) => {
                        if let Some(finding) = self.not_entitled() {
                            return finding;
                        }
                        let top = self.chain.last().map(Certificate::issuer).unwrap_or_default();
                        return Finding::kept(
                            Rule::Chain,
                            format!("leads to {top:?}, which is trusted"),
                        );
                    }
                    Err(error) if error.is_of_time() || error.is_of_usage() => {
                        failure.get_or_insert(error);
                    }
                    // Says more than a time or a usage that another rule tells of.
                    Err(error) => failure = Some(error),
                }
            }
        }
        failure.map_or_else(
            || Finding::kept(Rule::Chain, "leads to a trusted root"),
            |error| self.no_path(&error),
        )
    }

    /// A CA on the way whose key usage does not let it sign certificates: webpki asks nothing of
    /// key usages, and Envoy refuses such a CA, trusted or not.
    fn not_entitled(&self) -> Option<Finding> {
        // One that is trusted itself need not be a CA.
        if self.bundle.contains(self.leaf) {
            return None;
        }
        let signs = |ca: &Certificate| {
            let usage = ca.usage();
            usage.key_usage.is_none() || usage.certificate_signing
        };
        let anchors = |of: &Certificate| -> Vec<&Certificate> {
            self.bundle.iter().filter(|root| of.issuer_der() == root.subject_der()).collect()
        };
        let top = self.chain.iter().position(|lower| !anchors(lower).is_empty())?;
        let anchors = anchors(&self.chain[top]);
        let above = self.chain[1..=top].iter().find(|ca| !signs(ca));
        let unable = match above {
            None if anchors.iter().any(|root| signs(root)) => return None,
            None => *anchors.first()?,
            Some(above) => above,
        };
        Some(Finding::broken(
            Rule::Chain,
            format!(
                "the key usage of {:?} lacks keyCertSign; Envoy refuses what it signed",
                unable.subject()
            ),
            "have another CA sign it",
        ))
    }

    fn no_path(&self, error: &VerificationError) -> Finding {
        let trusted: Vec<_> =
            self.bundle.iter().map(|root| format!("{:?}", root.subject())).collect();
        let trusted = trusted.join(", ");
        let advice = match error {
            VerificationError::UnknownIssuer { .. } => {
                let top = self.chain.last().map(Certificate::issuer).unwrap_or_default();
                format!(
                    "the bundle trusts {trusted}: add {top:?} to it, or the certificates between \
                     the two to the chain"
                )
            }
            VerificationError::BadSignature { .. } => {
                "the bundle holds another CA of the same name: one that was made anew, most \
                 likely; issue the leaf again, or take the CA certificate that signed it"
                    .to_owned()
            }
            _ if self.leaf.ca_constraint().is_some() => {
                "it is a CA's certificate; give the chain of a leaf".to_owned()
            }
            _ => "look at each certificate with `certctl inspect`".to_owned(),
        };
        Finding::broken(Rule::Chain, format!("{}: {error}", self.title(0)), advice)
    }

    fn time(&self) -> Finding {
        let Question { at, .. } = self.question;
        for (place, certificate) in self.chain.iter().enumerate() {
            let validity = certificate.validity();
            if at < validity.not_before {
                return Finding::broken(
                    Rule::Time,
                    format!(
                        "{} is not valid before {}",
                        self.title(place),
                        rfc3339(validity.not_before)
                    ),
                    "compare the clocks of who issued it and of who uses it",
                );
            }
            if at > validity.not_after {
                return Finding::broken(
                    Rule::Time,
                    format!("{} expired at {}", self.title(place), rfc3339(validity.not_after)),
                    "issue it again",
                );
            }
        }
        // webpki asks nothing of a trust anchor's times; Envoy and OpenSSL do.
        let anchors: Vec<_> = self
            .bundle
            .iter()
            .filter(|root| self.chain.iter().any(|c| c.issuer_der() == root.subject_der()))
            .collect();
        if let [root, ..] = anchors[..]
            && !anchors.iter().any(|root| root.validity().contains(at))
        {
            let validity = root.validity();
            return Finding::broken(
                Rule::Time,
                format!(
                    "the root {:?} is valid from {} to {} only; Envoy refuses what it signed",
                    root.subject(),
                    rfc3339(validity.not_before),
                    rfc3339(validity.not_after)
                ),
                "replace that authority",
            );
        }
        let ends = self.chain.iter().map(|c| c.validity().not_after).min();
        Finding::kept(
            Rule::Time,
            match ends {
                Some(ends) => format!("valid at {}, until {}", rfc3339(at), rfc3339(ends)),
                None => format!("valid at {}", rfc3339(at)),
            },
        )
    }

    fn usage(&self) -> Finding {
        let advice = "issue a certificate with both serverAuth and clientAuth";
        let usage = self.leaf.usage();
        if usage.key_usage.is_some() && !usage.digital_signature {
            let detail = format!("{} lacks the key usage digitalSignature", self.title(0));
            return Finding::broken(
                Rule::Usage,
                detail,
                "TLS 1.3 signs with the key; issue it again",
            );
        }
        for purpose in self.question.purposes {
            let (word, has) = match purpose {
                Purpose::Client => ("clientAuth", usage.client),
                Purpose::Server => ("serverAuth", usage.server),
            };
            if usage.extended && !has {
                let detail = format!("{} lacks the extended key usage {word}", self.title(0));
                return Finding::broken(Rule::Usage, detail, advice);
            }
            // A CA above may be limited, too.
            if let Err(error) = self.verify(*purpose, self.question.at)
                && error.is_of_usage()
            {
                let detail = format!("a CA above {} is not for {word}: {error}", self.title(0));
                return Finding::broken(Rule::Usage, detail, "have another CA sign it");
            }
        }
        let words: Vec<_> = self
            .question
            .purposes
            .iter()
            .map(|purpose| match purpose {
                Purpose::Client => "as a client",
                Purpose::Server => "as a server",
            })
            .collect();
        Finding::kept(Rule::Usage, format!("may be used {}", words.join(" and ")))
    }

    fn name(&self, name: &PeerName) -> Finding {
        let names = self.leaf.names();
        let (holds, wanted) = match name {
            PeerName::Id(id) => (names.uris == [id.as_str()], id.as_str()),
            PeerName::Dns(dns) => (is_valid_for(self.leaf, dns), dns.as_str()),
        };
        if holds {
            return Finding::kept(Rule::Name, format!("it is for {wanted}"));
        }
        let has: Vec<_> =
            names.uris.iter().chain(&names.dns_names).map(|n| format!("{n:?}")).collect();
        let has = if has.is_empty() { "no name at all".to_owned() } else { has.join(", ") };
        Finding::broken(
            Rule::Name,
            format!("{} is not for {wanted}, but for {has}", self.title(0)),
            "expect one of its names, or issue it with this one",
        )
    }

    fn key(&self, key: &PublicKey) -> Finding {
        if key.spki() == self.leaf.spki() {
            return Finding::kept(Rule::Key, "the key belongs to the leaf");
        }
        let owner = self.chain.iter().position(|certificate| certificate.spki() == key.spki());
        let detail = match owner {
            Some(at) => format!("the key is that of {}, not of the leaf", self.title(at)),
            None => format!("the key is not that of {}", self.title(0)),
        };
        Finding::broken(Rule::Key, detail, "take the key that was made with it, or issue it again")
    }
}
