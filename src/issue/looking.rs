//! Deciding about every node: what there is of it, and what is to be made.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::Order;
use super::node::{Node, NodeFailure, Work};
use crate::desired::Identity;
use crate::hierarchy::{Authorities, Signer};
use crate::rotation::{Decision, Reason, decide, profile, rechain, renewal};
use crate::store::{Held, NodeFiles, Reader};
use crate::x509::certificate::Certificate;

impl Order<'_> {
    /// Decides about every node.
    pub(super) fn look<'a>(
        &'a self,
        authorities: &Authorities,
        read: &Reader<'_>,
        rehearsal: bool,
    ) -> Vec<Node<'a>> {
        let forced: BTreeSet<_> = self.force.iter().collect();
        let identities: Vec<_> = self.desired.identities.values().collect();
        identities
            .par_iter()
            .map(|identity| {
                let forced = forced.contains(&identity.name);
                let work = self
                    .look_at(identity, (forced, rehearsal), authorities, read)
                    .unwrap_or_else(Work::Failed);
                Node { identity, work }
            })
            .collect()
    }

    fn look_at(
        &self,
        identity: &Identity,
        (forced, rehearsal): (bool, bool),
        authorities: &Authorities,
        read: &Reader<'_>,
    ) -> Result<Work, NodeFailure> {
        let files = NodeFiles::read(read, &identity.files.base)?;
        let held = files.held(&identity.files.base);
        files.refuse_a_ca(&identity.files.base, &held)?;
        let (leaf, had) = (held.leaf().cloned(), !matches!(held, Held::Nothing));
        let spki = leaf.as_ref().map(|leaf| leaf.spki().to_vec());
        let authority = match authorities.certificates(&identity.authority, leaf.as_ref()) {
            Err(why) if rehearsal && why.is_not_yet() => {
                let held = leaf.as_ref().map(Certificate::issuer);
                let reason = held.map_or(Reason::New, |held| Reason::Authority { held });
                return Ok(Work::Due { reason, had, held: spki });
            }
            authority => authority?,
        };
        let profile = profile(self.desired, identity);
        let decision = if forced {
            Decision::Issue(Reason::Forced)
        } else {
            decide(&profile, identity.key_algorithm, authority, held, self.now)
        };
        Ok(match (decision, leaf) {
            (Decision::Issue(reason @ Reason::AuthorityChanged), Some(leaf))
                if matches!(authorities.signer(&identity.authority), Ok(Signer::Remote(_)))
                    && let Held::Pair { key, .. } = files.held(&identity.files.base)
                    && let Ok(credential) = rechain(key, leaf.clone(), authority, self.now) =>
            {
                // The leaf is as good under the CA's new certificate; another would be paid for.
                let renewal = renewal(&leaf, &profile, authority);
                Work::Made { credential: Box::new(credential), renewal, reason, had }
            }
            (Decision::Keep(renewal), Some(leaf)) => {
                Work::Kept { files, leaf: Box::new(leaf), renewal }
            }
            (Decision::Keep(_), None) => Work::Due { reason: Reason::New, had, held: spki },
            (Decision::Issue(reason), _) => Work::Due { reason, had, held: spki },
        })
    }
}
