//! What AWS says of the CAs that a mesh names, beside what the mesh wants of them.
//!
//! Asks, and judges; changes nothing, neither here nor there. Knows nothing of what this process
//! has signed, and not how what it finds is shown.

use futures_util::stream::{self, StreamExt};
use thiserror::Error;

use crate::acm_pca::{Connect, Description, DescriptionError, KnownCa, ServiceError};
use crate::authority::CaChain;
use crate::desired::acm_pca::PrivateCa;
use crate::desired::{Authority, Desired};
use crate::identity::AuthorityName;
use crate::store::read_foreign;
use crate::x509::certificate::Certificate;

mod judge;
#[cfg(test)]
mod tests;

pub use judge::judge;

/// How many CAs are asked about at once.
const AT_ONCE: usize = 8;

/// One CA, and what came of asking.
#[derive(Debug)]
pub struct Surveyed {
    /// The authority that it belongs to.
    pub authority: AuthorityName,
    /// As the mesh has it.
    pub ca: PrivateCa,
    /// What AWS says of it.
    pub found: Result<Found, Unanswered>,
    /// The certificates that the mesh's own file has of it, where it names one, or why it has none.
    pub foreseen: Option<Result<CaChain, String>>,
}

/// What AWS says of a CA.
#[derive(Debug)]
pub struct Found {
    /// How it is described.
    pub description: Description,
    /// The same with its certificates, verified; a CA that is not active may have none.
    pub known: Result<KnownCa, Unknown>,
}

/// AWS has not answered as it should.
#[derive(Clone, Debug, Error)]
#[error("{call}: {cause}")]
pub struct Unanswered {
    call: &'static str,
    #[source]
    cause: ServiceError,
}

/// Why nothing is known of a CA's certificates.
#[derive(Debug, Error)]
pub enum Unknown {
    /// AWS has not handed them out.
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    /// They are not those of a CA that signs for us.
    #[error(transparent)]
    Description(#[from] DescriptionError),
}

/// Asks about every CA of AWS Private CA that the mesh names, side by side: for each
/// DescribeCertificateAuthority and GetCertificateAuthorityCertificate, which cost nothing. In the
/// order of the mesh.
pub async fn ask(connect: &dyn Connect, desired: &Desired) -> Vec<Surveyed> {
    let cas = desired.authorities.iter().flat_map(|(name, kind)| {
        let cas = match kind {
            Authority::AcmPca(remote) => remote.cas.as_slice(),
            _ => &[],
        };
        cas.iter().map(move |ca| (name, ca))
    });
    let asked: Vec<_> = cas.map(|(name, ca)| one(connect, name, ca)).collect();
    stream::iter(asked).buffered(AT_ONCE).collect().await
}

async fn one(connect: &dyn Connect, authority: &AuthorityName, ca: &PrivateCa) -> Surveyed {
    let service = connect.service(ca);
    let (description, certificates) =
        tokio::join!(service.describe(&ca.arn), service.ca_certificate(&ca.arn));
    let failed = |call| move |cause| Unanswered { call, cause };
    let found = description.map_err(failed("DescribeCertificateAuthority")).map(|description| {
        let known = certificates
            .map_err(failed("GetCertificateAuthorityCertificate"))
            .map_err(Unknown::from)
            .and_then(|pem| Ok(KnownCa::of(ca.clone(), &description, &pem)?));
        Found { description, known }
    });
    let foreseen = ca.certificates.as_deref().map(|file| {
        let text = read_foreign(file).map_err(|error| error.to_string())?;
        let certificates = Certificate::all_from_pem(&text).map_err(|error| error.to_string())?;
        CaChain::new(certificates).map_err(|error| error.to_string())
    });
    Surveyed { authority: authority.clone(), ca: ca.clone(), found, foreseen }
}
