//! An authority whose keys are at AWS, as far as it is known here.

use super::{Description, DescriptionError, IssuedPem};
use crate::authority::CaChain;
use crate::desired::acm_pca::PrivateCa;
use crate::identity::AuthorityName;
use crate::x509::certificate::Certificate;
use crate::x509::key::{KeyAlgorithm, PublicKey};

/// An authority of AWS Private CA: all that there is to know of it without asking AWS. At least one
/// CA, in order of preference.
#[derive(Clone, Debug)]
pub struct RemoteAuthority {
    name: AuthorityName,
    cas: Vec<KnownCa>,
}

/// One CA of it.
#[derive(Clone, Debug)]
pub struct KnownCa {
    /// As the mesh has it.
    pub ca: PrivateCa,
    /// The algorithm of its key, which decides how it signs.
    pub key_algorithm: KeyAlgorithm,
    /// Whether it signs for at most seven days.
    pub is_short_lived: bool,
    /// Its own certificate and those above it.
    pub chain: CaChain,
}

impl KnownCa {
    /// What AWS says of a CA, verified: how it describes it, and its certificates.
    ///
    /// # Errors
    /// When that makes no CA whose signatures peers can judge.
    pub fn of(
        ca: PrivateCa,
        description: &Description,
        certificates: &IssuedPem,
    ) -> Result<Self, DescriptionError> {
        let key_algorithm = description.key_algorithm.ok_or_else(|| {
            DescriptionError::KeyAlgorithm { name: description.key_algorithm_name.clone() }
        })?;
        let mut all = Certificate::all_from_pem(certificates.certificate.as_bytes())?;
        if !certificates.chain.trim().is_empty() {
            all.extend(Certificate::all_from_pem(certificates.chain.as_bytes())?);
        }
        let chain = CaChain::new(all)?;
        let found = PublicKey::from_spki(chain.own().spki())
            .map(|key| key.algorithm())
            .unwrap_or(key_algorithm);
        if found != key_algorithm {
            return Err(DescriptionError::KeyDiffers { said: key_algorithm, found });
        }
        let is_short_lived = description.is_short_lived;
        Ok(Self { ca, key_algorithm, is_short_lived, chain })
    }
}

impl RemoteAuthority {
    /// One that signs with these, in order of preference; none if there are none.
    pub fn new(name: AuthorityName, cas: Vec<KnownCa>) -> Option<Self> {
        (!cas.is_empty()).then_some(Self { name, cas })
    }

    /// The same with those of its CAs alone that `keep` keeps; none if there are none.
    pub fn only(&self, keep: impl Fn(&KnownCa) -> bool) -> Option<Self> {
        let cas = self.cas.iter().filter(|ca| keep(ca)).cloned().collect();
        Self::new(self.name.clone(), cas)
    }

    /// Its name in the mesh.
    pub fn name(&self) -> &AuthorityName {
        &self.name
    }

    /// Its CAs, in order of preference.
    pub fn cas(&self) -> &[KnownCa] {
        &self.cas
    }

    /// The roots of all of them, each once: whoever trusts the authority trusts whichever signs.
    pub fn roots(&self) -> Vec<Certificate> {
        let mut roots: Vec<Certificate> = Vec::new();
        for ca in &self.cas {
            if !roots.contains(ca.chain.root()) {
                roots.push(ca.chain.root().clone());
            }
        }
        roots
    }

    /// The certificates of the CA that issued `leaf`, by name; those of the preferred one where
    /// none did.
    pub fn issuer_of(&self, leaf: Option<&Certificate>) -> &CaChain {
        let issued = |ca: &&KnownCa| leaf.is_some_and(|leaf| leaf.names_as_issuer(ca.chain.own()));
        &self.cas.iter().find(issued).unwrap_or(&self.cas[0]).chain
    }
}
