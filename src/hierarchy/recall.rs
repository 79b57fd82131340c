//! What earlier processes had AWS sign within the last hour: it counts for what may be signed in it.

use std::path::Path;

use crate::acm_pca::Pool;
use crate::desired::{Authority, Desired};
use crate::store::audit::Audit;
use crate::time::OffsetDateTime;

/// Tells `pool` of what the record in the directory `state` has of the last hour, where the mesh
/// limits what a CA signs in one. To be called once for a pool. A record that cannot be read counts
/// for nothing, and an operator is told.
pub fn recall(desired: &Desired, state: &Path, pool: &Pool, now: OffsetDateTime) {
    let limited = desired.authorities.values().filter_map(|authority| match authority {
        Authority::AcmPca(remote) => Some(&remote.cas),
        _ => None,
    });
    let limited: Vec<_> =
        limited.flatten().filter(|ca| ca.max_certificates_per_hour.is_some()).collect();
    if limited.is_empty() {
        return;
    }
    let told = |error| tracing::warn!("what was issued before does not count: {error}");
    let Ok(entries) = Audit::recent(state).map_err(told) else { return };
    for entry in entries.filter_map(|entry| entry.map_err(told).ok()) {
        let ca = limited.iter().find(|ca| ca.arn.as_str() == entry.ca_arn());
        if let Some(ca) = ca.filter(|_| now - entry.time < time::Duration::HOUR) {
            pool.recall(ca, entry.time);
        }
    }
}
