//! What was asked of AWS for an intermediate, while it has not come.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use zeroize::Zeroizing;

use super::{ErrandError, Means};
use crate::acm_pca::{KeepError, Ledger, Submission, Wasted};
use crate::identity::AuthorityName;
use crate::store::Entry;
use crate::store::audit::{self, Holder};

/// What an earlier errand was cut off from.
pub(super) async fn earlier(
    name: &AuthorityName,
    means: &Means,
) -> Result<Option<Submission>, ErrandError> {
    let (store, of) = (Arc::clone(&means.store), name.clone());
    let kept = tokio::task::spawn_blocking(move || store.submission(&of)).await??;
    let submission = kept.map(|bytes| {
        let value = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        Submission::from_json(value).map_err(|error| error.to_string())
    });
    Ok(submission.transpose().unwrap_or_else(|error| {
        tracing::error!(
            authority = %name,
            "what was kept of its certificate in the making is damaged, so if that is paid for, it \
             is lost: {error}"
        );
        None
    }))
}

/// Keeps what was asked for a CA.
pub(super) struct Book<'a> {
    pub(super) name: &'a AuthorityName,
    pub(super) under: &'a AuthorityName,
    pub(super) means: &'a Means,
}

impl Book<'_> {
    fn save(&self, entry: Entry) -> BoxFuture<'static, Result<(), KeepError>> {
        let store = Arc::clone(&self.means.store);
        let saved = tokio::task::spawn_blocking(move || store.save(&[entry]));
        async move {
            let saved = saved.await.map_err(|error| KeepError(error.into()))?;
            saved.map_err(|error| KeepError(error.into()))
        }
        .boxed()
    }
}

impl Ledger for Book<'_> {
    fn keep<'a>(&'a self, submission: &'a Submission) -> BoxFuture<'a, Result<(), KeepError>> {
        let bytes = Zeroizing::new(submission.to_json().to_string().into_bytes());
        self.save(Entry::submission(self.name, &bytes))
    }

    fn wasted<'a>(&'a self, wasted: &'a Wasted) -> BoxFuture<'a, ()> {
        let entry = audit::Entry {
            time: wasted.at,
            authority: self.under.clone(),
            holder: Holder::Ca(self.name.clone()),
            serial: wasted.serial.clone().unwrap_or_default(),
            certificate_arn: wasted.certificate.clone(),
            not_after: wasted.not_after,
            is_unused: true,
        };
        let state = self.means.state.clone();
        async move {
            let recorded = tokio::task::spawn_blocking(move || audit::record(&state, &entry)).await;
            if let Err(error) = recorded {
                tracing::error!(certificate = %wasted.certificate, "it is in no record: {error}");
            }
        }
        .boxed()
    }

    fn forget(&self) -> BoxFuture<'_, Result<(), KeepError>> {
        self.save(Entry::no_submission(self.name))
    }
}
