//! A new key and its certificate from an authority that is reached over a network and paid for
//! each time.

use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::pending::{self, Pending, Pendings};
use super::{Credential, ProvisioningError};
use crate::acm_pca::{
    KeepError, LeafOrder, Ledger, Pool, RemoteAuthority, Submission, Urgency, Wasted,
};
use crate::identity::NodeName;
use crate::store::audit::{self, Holder};
use crate::x509::key::{KeyAlgorithm, PrivateKey};
use crate::x509::profile::LeafProfile;

/// Who is to get a certificate, and from whom.
#[derive(Debug)]
pub struct RemoteRequest<'a> {
    /// The node.
    pub node: &'a NodeName,
    /// Who signs.
    pub authority: &'a RemoteAuthority,
    /// What is to be in it.
    pub profile: &'a LeafProfile,
    /// The algorithm of its key.
    pub algorithm: KeyAlgorithm,
    /// The SubjectPublicKeyInfo of the certificate that the node has, where it has one: a pending
    /// with that key is done, and was only not forgotten yet.
    pub held_spki: Option<&'a [u8]>,
    /// The directory with the record of what was issued.
    pub state: &'a Path,
}

/// Makes a key and has the authority certify it, or fetches what an earlier call was cut off from.
/// May be dropped at any time: what was paid for until then is fetched by the next call. Whoever
/// saves the credential has `pendings` forget the node afterwards, and not before.
///
/// # Errors
/// When the key cannot be made, nothing can be kept, or the authority does not certify it.
pub async fn provision_remotely(
    pool: &Pool,
    request: &RemoteRequest<'_>,
    urgency: &Urgency,
    pendings: Arc<dyn Pendings>,
) -> Result<Credential, ProvisioningError> {
    let RemoteRequest { authority, profile, algorithm, .. } = *request;
    let (key, earlier) = match resumed(request, &pendings).await? {
        Some(pending) => (pending.key, Some(pending.submission)),
        None => (on_a_thread(move || PrivateKey::generate(algorithm)).await??, None),
    };
    let book = Book { request, key: &key, pendings };
    let order = LeafOrder { profile, key: &key };
    let signed = pool.sign(authority, &order, earlier, urgency, &book).await?;
    let leaf = signed.signed.leaf();
    let entry = audit::Entry {
        time: pool.now(),
        authority: authority.name().clone(),
        holder: Holder::Leaf(request.node.clone()),
        serial: leaf.serial(),
        certificate_arn: signed.certificate,
        not_after: leaf.validity().not_after,
        is_unused: false,
    };
    let state = request.state.to_owned();
    on_a_thread(move || audit::record(&state, &entry)).await?;
    Ok(Credential::new(key, signed.signed)?)
}

/// What an earlier call was cut off from, if it is still wanted.
async fn resumed(
    request: &RemoteRequest<'_>,
    pendings: &Arc<dyn Pendings>,
) -> Result<Option<Pending>, ProvisioningError> {
    let node = request.node;
    let (shared, name) = (Arc::clone(pendings), node.clone());
    let Some(bytes) = on_a_thread(move || shared.load(&name)).await?? else { return Ok(None) };
    let unwanted = match Pending::from_json(&bytes) {
        Ok(pending) => {
            let key = pending.key.public().spki();
            if request.held_spki == Some(key) {
                tracing::debug!(%node, "a certificate that is saved had not been forgotten");
            } else if !pending.is_for(request.profile, request.algorithm) {
                give_up(request, &pending.submission, "something else is wanted by now").await?;
            } else if !request.authority.cas().iter().any(|ca| ca.ca.arn == pending.submission.ca) {
                let why = "its CA is no longer one of the authority's";
                give_up(request, &pending.submission, why).await?;
            } else {
                return Ok(Some(pending));
            }
            None
        }
        Err(error) => Some(error),
    };
    if let Some(error) = unwanted {
        tracing::error!(
            %node,
            "what was kept of a certificate in the making is damaged, so if it is paid for, it is \
             lost: {error}"
        );
    }
    let (shared, name) = (Arc::clone(pendings), node.clone());
    on_a_thread(move || shared.forget(&name)).await??;
    Ok(None)
}

/// Tells of what is not fetched, and writes it down as far as it is known.
async fn give_up(
    request: &RemoteRequest<'_>,
    submission: &Submission,
    why: &str,
) -> Result<(), ProvisioningError> {
    let certificate = submission.made.as_ref().map(|made| made.certificate.as_str());
    tracing::warn!(
        node = %request.node, ca = %submission.ca, certificate = certificate.unwrap_or("not known"),
        "a certificate that was asked for, and may be paid for, is not fetched: {why}"
    );
    match Wasted::of(submission, None) {
        Some(wasted) => record_wasted(request, &wasted).await,
        None => Ok(()),
    }
}

async fn record_wasted(
    request: &RemoteRequest<'_>,
    wasted: &Wasted,
) -> Result<(), ProvisioningError> {
    let entry = audit::Entry {
        time: wasted.at,
        authority: request.authority.name().clone(),
        holder: Holder::Leaf(request.node.clone()),
        serial: wasted.serial.clone().unwrap_or_default(),
        certificate_arn: wasted.certificate.clone(),
        not_after: wasted.not_after,
        is_unused: true,
    };
    let state = request.state.to_owned();
    on_a_thread(move || audit::record(&state, &entry)).await
}

/// Work that waits for a disk or takes a while.
async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ProvisioningError> {
    tokio::task::spawn_blocking(work).await.map_err(ProvisioningError::CutOff)
}

/// Keeps one node's pending.
struct Book<'a> {
    request: &'a RemoteRequest<'a>,
    key: &'a PrivateKey,
    pendings: Arc<dyn Pendings>,
}

impl Ledger for Book<'_> {
    fn keep<'a>(&'a self, submission: &'a Submission) -> BoxFuture<'a, Result<(), KeepError>> {
        let bytes = pending::to_json((self.key, submission), self.request.profile);
        let (pendings, node) = (Arc::clone(&self.pendings), self.request.node.clone());
        async move {
            let bytes = bytes.map_err(|error| KeepError(error.into()))?;
            let kept = tokio::task::spawn_blocking(move || pendings.keep(&node, &bytes)).await;
            kept.map_err(|error| KeepError(error.into()))?
        }
        .boxed()
    }

    fn wasted<'a>(&'a self, wasted: &'a Wasted) -> BoxFuture<'a, ()> {
        async move {
            if let Err(error) = record_wasted(self.request, wasted).await {
                tracing::error!(certificate = %wasted.certificate, "it is in no record: {error}");
            }
        }
        .boxed()
    }

    fn forget(&self) -> BoxFuture<'_, Result<(), KeepError>> {
        let (pendings, node) = (Arc::clone(&self.pendings), self.request.node.clone());
        async move {
            let forgot = tokio::task::spawn_blocking(move || pendings.forget(&node)).await;
            forgot.map_err(|error| KeepError(error.into()))?
        }
        .boxed()
    }
}
