//! Whether AWS would do what the mesh asks of it: pure.

use std::ops::Range;
use std::time::Duration;

use super::{Surveyed, Unknown};
use crate::acm_pca::{CaStatus, KnownCa, SHORT_LIVED};
use crate::desired::acm_pca::Rates;
use crate::desired::mesh_file::Places;
use crate::desired::problem::{Problem, Problems};
use crate::desired::{Authority, Desired};
use crate::identity::AuthorityName;
use crate::rotation::cost::{Cost, costs};
use crate::time::{Lifetime, OffsetDateTime, later, rfc3339, roughly};

/// How many certificates a CA issues in its life, by AWS's quota.
const MOST_OF_A_CA: f64 = 1_000_000.0;

/// The months of a year, each of 30 days.
const MONTHS: f64 = 365.0 / 30.0;

/// How long nodes may wait for their first certificate without a word about it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is wrong with the mesh by what AWS says of its CAs, or had better be known, in the order of
/// `places`, which are where the mesh file says what it is about.
pub fn judge(
    desired: &Desired,
    surveyed: &[Surveyed],
    places: &Places,
    now: OffsetDateTime,
) -> Vec<Problem> {
    let problems = Problems::new();
    let bench = Bench { desired, places, problems: &problems, now };
    for one in surveyed {
        bench.one(one);
    }
    for cost in costs(desired) {
        let all = surveyed.iter().filter(|one| one.authority == cost.authority);
        all.for_each(|one| bench.rates(one, &cost));
    }
    problems.into_vec()
}

struct Bench<'a> {
    desired: &'a Desired,
    places: &'a Places,
    problems: &'a Problems,
    now: OffsetDateTime,
}

impl Bench<'_> {
    fn one(&self, one: &Surveyed) {
        let place = self.places.ca(&one.ca.arn);
        let found = match &one.found {
            Ok(found) => found,
            Err(error) => return self.error(place, error.to_string(), None),
        };
        let is_active = match &found.description.status {
            CaStatus::Active => true,
            CaStatus::Other(status) => {
                let message = format!("this CA is {status}, so it signs nothing");
                self.error(place.clone(), message, remedy(status));
                false
            }
        };
        match &found.known {
            Ok(known) => {
                self.validity(known, place);
                self.lifetimes(one, known);
                self.foreseen(one, known);
            }
            // One that has none yet is not active, which has been said.
            Err(Unknown::Unanswered(_)) if !is_active => {}
            Err(error) => self.error(place, format!("this CA cannot be used: {error}"), None),
        }
    }

    fn validity(&self, known: &KnownCa, place: Range<usize>) {
        let validity = known.chain.validity();
        if self.now < validity.not_before {
            let begins = rfc3339(validity.not_before);
            self.error(place, format!("this CA is not valid before {begins}"), None);
        } else if self.now > validity.not_after {
            let ended = rfc3339(validity.not_after);
            self.error(place, format!("this CA has ended: it was valid until {ended}"), None);
        }
    }

    /// All that it is to sign, nodes first.
    fn lifetimes(&self, one: &Surveyed, known: &KnownCa) {
        let nodes = self.desired.identities.values();
        for node in nodes.filter(|node| node.authority == one.authority) {
            self.lifetime(known, node.lifetime, self.places.lifetime(&node.name));
        }
        for child in self.desired.children_of(&one.authority) {
            if let Some(Authority::Local(local)) = self.desired.authorities.get(child) {
                self.lifetime(known, local.lifetime, self.places.authority_lifetime(child));
            }
            self.depth(known, child);
        }
    }

    fn lifetime(&self, known: &KnownCa, lifetime: Lifetime, place: Range<usize>) {
        let ca = (self.places.ca(&known.ca.arn), "this CA");
        if known.is_short_lived && lifetime > SHORT_LIVED {
            let message = format!(
                "{lifetime} is wanted here, and {} signs for at most {SHORT_LIVED}: it is in the \
                 short-lived mode",
                known.ca.arn
            );
            self.problems.push(
                Problem::error(place, message)
                    .related(ca.0, ca.1)
                    .help("shorten the lifetime, or take a CA of the general-purpose mode"),
            );
            return;
        }
        let ends = known.chain.ends();
        if self.now <= ends && later(self.now, lifetime.duration()) > ends {
            let message = format!(
                "{lifetime} is wanted here, and {} ends on {}: what it signs is cut to that",
                known.ca.arn,
                rfc3339(ends)
            );
            self.problems.push(
                Problem::warning(place, message)
                    .related(ca.0, ca.1)
                    .help("renew the CA's certificate, or take another CA"),
            );
        }
    }

    /// Whether it may sign `child`, which is a CA, with those that stand below that.
    fn depth(&self, known: &KnownCa, child: &AuthorityName) {
        let places = self.desired.authorities.keys();
        let below = places.filter_map(|name| {
            self.desired.above(name).position(|above| above == child).map(|place| place + 1)
        });
        let wanted = below.max().unwrap_or(0) + 1;
        let allowed = known.chain.own().ca_constraint().and_then(|ca| ca.path_length);
        if let Some(allowed) = allowed.filter(|allowed| (*allowed as usize) < wanted) {
            let arn = &known.ca.arn;
            let message = format!("{arn} allows {allowed} CAs below it, and here are {wanted}");
            self.problems.push(
                Problem::error(self.places.authority(child), message)
                    .related(self.places.ca(arn), "this CA")
                    .help("take another parent, or let the nodes be signed by this CA itself"),
            );
        }
    }

    /// Whether the certificates in the mesh's own file are those that AWS hands out.
    fn foreseen(&self, one: &Surveyed, known: &KnownCa) {
        let (Some(foreseen), Some(file)) = (&one.foreseen, one.ca.certificates.as_deref()) else {
            return;
        };
        let place = self.places.file(file);
        let help = || {
            let arn = &one.ca.arn;
            Some(format!(
                "write there what `aws acm-pca get-certificate-authority-certificate --region {} \
                 --certificate-authority-arn {arn} --output text` says with `--query Certificate`, \
                 and with `--query CertificateChain` unless it is a root",
                arn.region()
            ))
        };
        match foreseen {
            Err(error) => self.error(place, format!("these are not a CA's: {error}"), help()),
            Ok(chain) if chain.root() != known.chain.root() => {
                let message = "these lead to another root than the one that AWS has for this CA";
                self.error(place, message.to_owned(), help());
            }
            Ok(chain) if chain.certificates() != known.chain.certificates() => {
                let message = "these are not the certificates that AWS has for this CA now";
                self.problems.push(Problem::warning(place, message).maybe_help(help()));
            }
            Ok(_) => {}
        }
    }

    /// What AWS's quotas have to say.
    fn rates(&self, one: &Surveyed, cost: &Cost) {
        let (place, rates) = (self.places.ca(&one.ca.arn), one.ca.rates);
        let quota = Rates::default();
        if rates.issue > quota.issue || rates.get > quota.get {
            let message = format!(
                "the rates here are above AWS's quotas for an account in a region, {} for \
                 IssueCertificate and {} for GetCertificate in a second, as they are by default",
                quota.issue, quota.get
            );
            let help = "see in Service Quotas that yours were raised";
            self.problems.push(Problem::note(place.clone(), message).help(help));
        }
        let takes = Duration::from_secs(u64::from(cost.at_first / rates.issue.max(1)));
        if takes > PATIENCE {
            let message = format!(
                "at {} requests a second, the {} certificates of a new mesh take {}",
                rates.issue,
                cost.at_first,
                roughly(takes)
            );
            self.problems.push(Problem::note(place.clone(), message));
        }
        let each_year = cost.each_month * MONTHS;
        if each_year > MOST_OF_A_CA {
            let message = format!(
                "about {each_year:.0} certificates will be signed in a year, and a CA issues \
                 {MOST_OF_A_CA:.0} in its life, by AWS's quota as it is by default"
            );
            let help = "lengthen the lifetimes, have the quota raised, or let an intermediate of \
                        your own sign: `local: {parent: …}`";
            self.problems.push(Problem::warning(place, message).help(help));
        }
    }

    fn error(&self, place: Range<usize>, message: String, help: Option<String>) {
        self.problems.push(Problem::error(place, message).maybe_help(help));
    }
}

/// What to do about a CA that is not active (CertificateAuthority, Status).
fn remedy(status: &str) -> Option<String> {
    let help = match status {
        "DISABLED" => "aws acm-pca update-certificate-authority --status ACTIVE, if it is to sign",
        "PENDING_CERTIFICATE" => {
            "install its certificate: aws acm-pca import-certificate-authority-certificate"
        }
        "EXPIRED" => "give it a new certificate, or take another CA",
        "DELETED" => "aws acm-pca restore-certificate-authority, or take another CA",
        "CREATING" => "try again in a moment",
        _ => return None,
    };
    Some(help.to_owned())
}
