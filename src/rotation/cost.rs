//! How many certificates a mesh has a remote authority sign, and what they cost: pure.

use std::time::Duration;

use crate::desired::{Authority, Desired};
use crate::identity::AuthorityName;
use crate::time::Lifetime;

/// What one remote authority is going to sign.
#[derive(Clone, Debug, PartialEq)]
pub struct Cost {
    /// The authority.
    pub authority: AuthorityName,
    /// How many certificates it has to sign before the mesh is complete: one for each node, and
    /// for each intermediate directly under it.
    pub at_first: u32,
    /// How many it signs in 30 days from then on.
    pub each_month: f64,
    /// What one costs, in millionths of whatever unit the mesh file means; none where it does not
    /// say.
    pub price: Option<u64>,
    /// How many one process may have it sign in an hour.
    pub most_each_hour: Option<u32>,
}

/// 30 days.
const MONTH: Duration = Duration::from_hours(30 * 24);

/// The share of its life after which a certificate is renewed, on average: they are spread from
/// 50 to 60 %.
const RENEWED_AFTER: f64 = 0.55;

impl Cost {
    /// What those of 30 days cost, in the unit of the price.
    pub fn monthly(&self) -> Option<f64> {
        self.price.map(|price| self.each_month * to_unit(price))
    }

    /// Whether the brake would hold up the nodes of a mesh that begins anew, or for good.
    pub fn is_braked(&self) -> bool {
        self.most_each_hour.is_some_and(|most| {
            let hours = MONTH.as_secs_f64() / 3_600.0;
            self.at_first > most || self.each_month / hours > f64::from(most)
        })
    }
}

/// What each remote authority of a mesh is going to sign, by the price and brake of its preferred
/// CA.
pub fn costs(desired: &Desired) -> Vec<Cost> {
    let remote = desired.authorities.iter().filter_map(|(name, kind)| match kind {
        Authority::AcmPca(remote) => remote.cas.first().map(|ca| (name, ca)),
        _ => None,
    });
    remote
        .map(|(name, ca)| {
            let lifetimes: Vec<_> = lifetimes(desired, name).collect();
            Cost {
                authority: name.clone(),
                at_first: u32::try_from(lifetimes.len()).unwrap_or(u32::MAX),
                // A sum of nothing is -0.
                each_month: lifetimes.iter().copied().map(renewals).sum::<f64>() + 0.0,
                price: ca.price_per_certificate,
                most_each_hour: ca.max_certificates_per_hour,
            }
        })
        .collect()
}

/// How long each certificate lives that `authority` itself signs.
fn lifetimes<'a>(
    desired: &'a Desired,
    authority: &'a AuthorityName,
) -> impl Iterator<Item = Lifetime> + 'a {
    let nodes = desired.identities.values().filter(move |node| node.authority == *authority);
    let intermediates =
        desired.children_of(authority).filter_map(|name| match &desired.authorities[name] {
            Authority::Local(local) => Some(local.lifetime),
            _ => None,
        });
    nodes.map(|node| node.lifetime).chain(intermediates)
}

/// How often a certificate of this lifetime is renewed in a month.
fn renewals(lifetime: Lifetime) -> f64 {
    MONTH.as_secs_f64() / (RENEWED_AFTER * lifetime.duration().as_secs_f64())
}

/// Millionths as the unit that they are millionths of.
fn to_unit(millionths: u64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "an estimate")]
    let price = millionths as f64;
    price / 1e6
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::desired::mesh_file::MeshFile;

    fn cost(rest: &str, nodes: &str) -> Cost {
        let text = format!(
            "version: 1\ntrustDomain: d\nauthorities:\n  a: {{acmPca: {{arn: \
             \"arn:aws:acm-pca:us-east-2:111122223333:certificate-authority/1\"{rest}}}}}\n  \
             b: {{local: {{parent: a, lifetime: 30d}}}}\nvirtualNodes:\n{nodes}"
        );
        let desired = MeshFile::read(Path::new("mesh.yaml"), text.as_bytes()).unwrap().desired;
        let [cost] = &costs(&desired)[..] else { panic!("{:?}", desired.authorities) };
        cost.clone()
    }

    #[test]
    fn nodes_and_intermediates_are_counted_by_their_lifetimes() {
        let nodes = "  n: {authority: a, lifetime: 24h}\n  m: {authority: a, lifetime: 7d}\n  \
                     o: {authority: b}\n";
        let cost = cost(", pricePerCertificate: 0.5", nodes);
        assert_eq!(cost.at_first, 3);
        let expected = (30.0 + 30.0 / 7.0 + 1.0) / 0.55;
        assert!((cost.each_month - expected).abs() < 1e-9, "{}", cost.each_month);
        assert!((cost.monthly().unwrap() - expected / 2.0).abs() < 1e-9);
        assert!(!cost.is_braked());
    }

    #[test]
    fn who_signs_nothing_costs_nothing() {
        let text = "version: 1\ntrustDomain: d\nauthorities:\n  here: {}\n  a: {acmPca: {arn: \
                    \"arn:aws:acm-pca:us-east-2:111122223333:certificate-authority/1\"}}\n\
                    virtualNodes: {n: {authority: here}}\n";
        let desired = MeshFile::read(Path::new("mesh.yaml"), text.as_bytes()).unwrap().desired;
        let cost = &costs(&desired)[0];
        assert_eq!((cost.at_first, cost.each_month.to_string().as_str()), (0, "0"));
    }

    #[test]
    fn no_price_is_assumed_and_a_brake_that_would_bite_is_seen() {
        let nodes = "  n: {authority: a, lifetime: 1h}\n  m: {authority: a}\n";
        assert_eq!(cost("", nodes).monthly(), None);
        // Two nodes and the intermediate at first; nearly two an hour from then on.
        assert!(cost(", maxCertificatesPerHour: 2", nodes).is_braked());
        assert!(!cost(", maxCertificatesPerHour: 3", nodes).is_braked());
        let often = "  n: {authority: a, lifetime: 10m}\n";
        assert!(cost(", maxCertificatesPerHour: 10", often).is_braked());
    }
}
