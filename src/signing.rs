//! The pipeline from a public key to a chain that may be published: profile, signature,
//! verification. Of what a caller presents it takes the key alone.

use crate::authority::Authority;
use crate::time::OffsetDateTime;
use crate::x509::credential::{Chain, CredentialError};
use crate::x509::key::PublicKey;
use crate::x509::profile::LeafProfile;

/// Has `authority` sign a leaf for `key`, and accepts the result only when rustls-webpki verifies
/// it and it says just what `profile` asks for.
///
/// # Errors
/// When the authority has ended, cannot sign, or what it made is not what was asked for.
pub fn sign(
    authority: &Authority,
    profile: &LeafProfile,
    key: &PublicKey,
    now: OffsetDateTime,
) -> Result<Chain, CredentialError> {
    let validity = profile.validity(now, authority.validity())?;
    let leaf = authority.sign(profile, key, validity)?;
    let issuers = authority.issuers().to_vec();
    Chain::accept(leaf, issuers, (profile, key, validity), authority.roots(), now)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use time::macros::datetime;

    use super::*;
    use crate::desired::LocalAuthority;
    use crate::identity::{AuthorityName, DnsName, SpiffeId};
    use crate::time::Lifetime;
    use crate::x509::certificate::Certificate;
    use crate::x509::key::{KeyAlgorithm, PrivateKey};
    use crate::x509::profile::Subject;

    const NOW: OffsetDateTime = datetime!(2026-11-21 8:00 UTC);
    const SKEW: Duration = Duration::from_secs(300);

    fn wanted(name: &str) -> LocalAuthority {
        LocalAuthority {
            subject: Subject { common_name: Some(name.to_owned()), ..Subject::default() },
            key_algorithm: KeyAlgorithm::EcP256,
            lifetime: Lifetime::days(10),
            parent: None,
            passphrase_file: None,
        }
    }

    fn root(algorithm: KeyAlgorithm) -> Authority {
        let key = PrivateKey::generate(algorithm).unwrap();
        let certificate = Authority::make_root(&wanted("root"), SKEW, &key, NOW).unwrap();
        Authority::new(AuthorityName::parse("root").unwrap(), key, vec![certificate]).unwrap()
    }

    fn below(parent: &Authority, cas_below: u8) -> Authority {
        let name = format!("intermediate with {cas_below} below");
        let key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap();
        let certificate =
            parent.make_intermediate(&wanted(&name), SKEW, cas_below, key.public(), NOW).unwrap();
        let chain = [&[certificate], parent.chain()].concat();
        Authority::new(AuthorityName::parse("intermediate").unwrap(), key, chain).unwrap()
    }

    fn profile(lifetime: Lifetime) -> LeafProfile {
        LeafProfile {
            spiffe_id: SpiffeId::parse("spiffe://example.org/front").unwrap(),
            dns_names: vec![DnsName::parse("front.example").unwrap()],
            lifetime,
            clock_skew: SKEW,
        }
    }

    #[test]
    fn every_pair_of_key_algorithms_signs_and_verifies() {
        for algorithm in [KeyAlgorithm::EcP256, KeyAlgorithm::EcP384, KeyAlgorithm::Rsa2048] {
            let authority = root(algorithm);
            for leaf in [KeyAlgorithm::EcP256, KeyAlgorithm::EcP384, KeyAlgorithm::Rsa2048] {
                let key = PrivateKey::generate(leaf).unwrap();
                let chain =
                    sign(&authority, &profile(Lifetime::hours(24)), key.public(), NOW).unwrap();
                assert_eq!(
                    chain.leaf().authority_key_id(),
                    authority.certificate().subject_key_id()
                );
                assert_eq!(chain.issuers().len(), 1);
            }
        }
    }

    #[test]
    fn a_chain_through_two_intermediates_verifies_and_leaves_the_root_out() {
        let root = root(KeyAlgorithm::EcP256);
        let issuing = below(&below(&root, 1), 0);
        let key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap();
        let chain = sign(&issuing, &profile(Lifetime::hours(24)), key.public(), NOW).unwrap();
        assert_eq!(chain.issuers().len(), 2);
        assert!(!chain.issuers().iter().any(Certificate::is_self_issued));
        assert_eq!(issuing.root(), root.certificate());
    }

    #[test]
    fn an_intermediate_that_allows_no_ca_below_signs_none() {
        let issuing = below(&root(KeyAlgorithm::EcP256), 0);
        let key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap();
        let error = issuing
            .make_intermediate(&wanted("third"), SKEW, 0, key.public(), NOW)
            .unwrap_err()
            .to_string();
        assert!(error.contains("allows 0 CAs below it"), "{error}");
    }

    #[test]
    fn a_leaf_ends_with_its_issuer_at_the_latest() {
        let authority = root(KeyAlgorithm::EcP256);
        let key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap();
        let late = authority.ends() - time::Duration::hours(1);
        let chain = sign(&authority, &profile(Lifetime::hours(24)), key.public(), late).unwrap();
        assert_eq!(chain.leaf().validity().not_after, authority.ends());
        assert_eq!(chain.leaf().validity().not_before, late - SKEW);
        let error = sign(
            &authority,
            &profile(Lifetime::hours(24)),
            key.public(),
            authority.ends() + time::Duration::SECOND,
        )
        .unwrap_err()
        .to_string();
        assert!(error.contains("replace that authority"), "{error}");
    }

    #[test]
    fn serials_differ_though_the_key_is_the_same() {
        let authority = root(KeyAlgorithm::EcP256);
        let key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap();
        let sign = || sign(&authority, &profile(Lifetime::hours(24)), key.public(), NOW).unwrap();
        assert_ne!(sign().leaf().serial(), sign().leaf().serial());
    }
}
