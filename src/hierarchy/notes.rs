//! What the user should know of the authorities, in time.

use super::due::due;
use super::{Authorities, Note};
use crate::authority::{Authority, CaChain};
use crate::desired::layout;
use crate::desired::{Desired, LocalAuthority};
use crate::identity::AuthorityName;
use crate::time::{Lifetime, OffsetDateTime, rfc3339, roughly};
use crate::x509::certificate::Certificate;
use crate::x509::key::KeyAlgorithm;

impl Authorities {
    /// A CA that exists is not remade because the mesh file changed its mind.
    pub(super) fn note_differences(
        &mut self,
        desired: &Desired,
        wanted: &LocalAuthority,
        authority: &Authority,
    ) {
        // What was not written in the mesh file is nobody's wish, and a CA of certs.sh has other
        // names and keys than ours.
        let certificate = authority.certificate();
        let mut differences = Vec::new();
        if let Some(name) = wanted.subject.common_name.as_deref()
            && name != authority.name().as_str()
            && certificate.common_name() != Some(name)
        {
            differences.push(match certificate.common_name() {
                Some(name) => format!("the common name {name:?}"),
                None => "no common name".to_owned(),
            });
        }
        if wanted.key_algorithm != KeyAlgorithm::default()
            && authority.key_algorithm() != wanted.key_algorithm
        {
            differences.push(format!("a key of {}", authority.key_algorithm()));
        }
        // An intermediate is given what is wanted when it is next renewed.
        if wanted.parent.is_none() && wanted.lifetime != LocalAuthority::ROOT_LIFETIME {
            let (has, wanted) = (certificate.validity().length(), wanted.lifetime.duration());
            // Its notBefore lies back by a clock skew that may have been another one.
            if has.abs_diff(wanted) > desired.clock_skew + wanted / 100 {
                differences.push(format!("a lifetime of {}", roughly(has)));
            }
        }
        if !differences.is_empty() {
            let (name, differences) = (authority.name(), differences.join(" and "));
            self.note(
                name,
                format!(
                    "{name} exists with {differences}, which the mesh file wants otherwise; a CA \
                     is not remade: add another authority and move to it"
                ),
            );
        }
    }

    /// A partner's certificates are trusted as they are: what is odd about them is told.
    pub(super) fn note_roots(
        &mut self,
        name: &AuthorityName,
        roots: &[Certificate],
        now: OffsetDateTime,
    ) {
        for root in roots {
            let (subject, ends) = (root.subject(), root.validity().not_after);
            if root.ca_constraint().is_none() {
                self.note(name, format!("{name} trusts {subject:?}, which is no CA"));
            } else if ends < now {
                let ends = rfc3339(ends);
                self.note(name, format!("{name} trusts {subject:?}, which ended at {ends}"));
            }
        }
    }

    /// Tells in time that an authority ends: when a tenth of its life is left, and when it cuts
    /// its leaves short.
    pub(super) fn note_end(
        &mut self,
        desired: &Desired,
        name: &AuthorityName,
        chain: &CaChain,
        now: OffsetDateTime,
    ) {
        const WHAT_TO_DO: &str =
            "add another authority, trust it everywhere, then move its nodes to it";
        let leaves = desired.identities.values().filter(|identity| identity.authority == *name);
        let longest: Option<Lifetime> = leaves.map(|identity| identity.lifetime).max();
        let left = chain.ends() - now;
        let in_words = roughly(left.unsigned_abs());
        // An intermediate is renewed by its parent, whose own end is told.
        let is_root = chain.certificates().len() == 1;
        if left.is_negative() {
            self.note(name, format!("{name} has ended and can sign nothing; {WHAT_TO_DO}"));
        } else if let Some(longest) = longest.filter(|longest| left < longest.duration()) {
            self.note(name, format!(
                "{name} ends in {in_words}, so its leaves end with it, short of the {longest} that \
                 are wanted; {WHAT_TO_DO}"
            ));
        } else if is_root && left < chain.own().validity().length() / 10 {
            self.note(name, format!("{name} ends in {in_words}; {WHAT_TO_DO}"));
        }
    }
}

/// What to tell in time of an intermediate that is due while its parent's key is elsewhere.
pub(super) fn unrenewable(
    desired: &Desired,
    (name, parent): (&AuthorityName, &AuthorityName),
    own: &Certificate,
    now: OffsetDateTime,
) -> Option<Note> {
    (due(desired, own) <= now).then(|| Note {
        authority: name.clone(),
        text: format!(
            "{name} is due to be signed anew and ends at {}, but its parent {parent} cannot sign: \
             put {} back for one run",
            rfc3339(own.validity().not_after),
            layout::authority_key(parent)
        ),
    })
}
