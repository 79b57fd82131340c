//! The authorities of a mesh file.

use std::path::PathBuf;

use indexmap::IndexMap;

use super::acm_pca::{self, WrittenCas};
use super::values::{attribute, country, file};
use super::{Scope, Written};
use crate::desired::acm_pca::{AcmPcaAuthority, PrivateCa};
use crate::desired::document::{Node, Spanned};
use crate::desired::problem::{Problem, Problems};
use crate::desired::reader::MappingReader;
use crate::desired::{Authority, ImportedAuthority, LocalAuthority, TrustOnlyAuthority};
use crate::identity::{AuthorityName, TrustDomain};
use crate::time::Lifetime;
use crate::x509::key::KeyAlgorithm;
use crate::x509::profile::Subject;

/// The longest CN, O and OU, then ST and L, in characters (RFC 5280 appendix A.1).
const MAX_NAME: usize = 64;
const MAX_PLACE: usize = 128;

/// An authority as it is written.
pub struct WrittenAuthority<'a> {
    /// Its name, at its key.
    pub name: Spanned<AuthorityName>,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Local(WrittenLocal<'a>),
    Imported(ImportedAuthority),
    AcmPca(WrittenCas),
    TrustOnly(TrustOnlyAuthority),
}

#[derive(Default)]
struct WrittenLocal<'a> {
    subject: Subject,
    key_algorithm: KeyAlgorithm,
    lifetime: Option<Spanned<Lifetime>>,
    parent: Option<Spanned<&'a str>>,
    passphrase_file: Option<PathBuf>,
}

impl<'a> WrittenAuthority<'a> {
    /// Reads one. What is wrong in it is replaced by a default, so that what refers to it can be
    /// judged; only a bad name leaves nothing.
    pub fn read(
        key: &Spanned<String>,
        node: &'a Node,
        domain: Option<&Spanned<TrustDomain>>,
        scope: &Scope<'a>,
    ) -> Option<Self> {
        let name = name(key, scope.problems);
        let kind = MappingReader::new(node, "an authority", scope.problems)
            .and_then(|reader| Kind::read(reader, scope));
        let name = name?;
        let mut kind = kind.unwrap_or_default();
        if let Kind::Local(local) = &mut kind {
            local.fill_subject(&name, domain.map(|domain| &domain.value), scope.problems);
        }
        Some(Self { name, kind })
    }

    /// How long its certificate lives, where it says so or its kind does.
    fn lifetime(&self) -> Option<Lifetime> {
        match &self.kind {
            Kind::Local(local) => Some(local.lifetime()),
            Kind::Imported(_) | Kind::AcmPca(_) | Kind::TrustOnly(_) => None,
        }
    }

    /// Its CAs at AWS, each at its ARN.
    pub fn cas(&self) -> &[Spanned<PrivateCa>] {
        match &self.kind {
            Kind::AcmPca(cas) => cas,
            _ => &[],
        }
    }

    /// Where its lifetime is said: the field, or else its name.
    pub fn lifetime_place(&self) -> std::ops::Range<usize> {
        match &self.kind {
            Kind::Local(WrittenLocal { lifetime: Some(lifetime), .. }) => lifetime.span.clone(),
            _ => self.name.span.clone(),
        }
    }
}

fn name(key: &Spanned<String>, problems: &Problems) -> Option<Spanned<AuthorityName>> {
    match AuthorityName::parse(&key.value) {
        Ok(value) => Some(Spanned { value, span: key.span.clone() }),
        Err(error) => problems.error(key.span.clone(), error.to_string()),
    }
}

impl Default for Kind<'_> {
    fn default() -> Self {
        Self::Local(WrittenLocal::default())
    }
}

impl<'a> Kind<'a> {
    fn read(mut reader: MappingReader<'a>, scope: &Scope<'a>) -> Option<Self> {
        reader.refuse(
            "daemon",
            "`daemon` is not in this version of certctl; it knows local, acmPca and trustOnly",
        );
        let kinds: Vec<_> = ["local", "acmPca", "trustOnly"]
            .into_iter()
            .filter_map(|kind| reader.field(kind).map(|(key, node)| (kind, key, node)))
            .collect();
        if let [(_, first, _), (_, second, _), ..] = kinds[..] {
            scope.problems.push(
                Problem::error(
                    second.span.clone(),
                    "an authority is of one kind, and this has two",
                )
                .related(first.span.clone(), "the other kind")
                .help("make it two authorities, or remove one of the two"),
            );
        }
        reader.finish();
        let (kind, _, node) = *kinds.first()?;
        match kind {
            "acmPca" => Some(Self::AcmPca(acm_pca::read(node, scope))),
            "trustOnly" => {
                Self::read_partner(MappingReader::new(node, "`trustOnly`", scope.problems)?, scope)
            }
            _ => Self::read_local(MappingReader::new(node, "`local`", scope.problems)?, scope),
        }
    }

    fn read_partner(mut reader: MappingReader<'a>, scope: &Scope<'a>) -> Option<Self> {
        reader.must_have("certificates");
        let certificates = file(&mut reader, "certificates", scope);
        let trust_domain = reader.parsed("trustDomain", TrustDomain::parse);
        reader.finish();
        Some(Self::TrustOnly(TrustOnlyAuthority {
            certificates: certificates.map(|path| path.value).unwrap_or_default(),
            trust_domain: trust_domain.map(|domain| domain.value),
        }))
    }

    fn read_local(mut reader: MappingReader<'a>, scope: &Scope<'a>) -> Option<Self> {
        let passphrase_file = file(&mut reader, "passphraseFile", scope).map(|path| path.value);
        let places = ["certificate", "key"].map(|name| reader.field(name).map(|(key, _)| key));
        let certificate = file(&mut reader, "certificate", scope).map(|path| path.value);
        let key = file(&mut reader, "key", scope).map(|path| path.value);
        let made = ["subject", "keyAlgorithm", "lifetime", "parent"]
            .map(|name| reader.field(name).map(|(key, _)| key));
        let local = WrittenLocal {
            subject: reader.mapping("subject", "`subject`").map(subject).unwrap_or_default(),
            key_algorithm: reader
                .parsed("keyAlgorithm", str::parse)
                .map_or_else(KeyAlgorithm::default, |algorithm| algorithm.value),
            lifetime: reader.parsed("lifetime", Lifetime::parse),
            parent: reader.text("parent"),
            passphrase_file: passphrase_file.clone(),
        };
        reader.finish();
        let (first, missing) = match places {
            [None, None] => return Some(Self::Local(local)),
            [Some(first), None] => (first, Some("key")),
            [None, Some(first)] => (first, Some("certificate")),
            [Some(first), Some(_)] => (first, None),
        };
        if let Some(missing) = missing {
            scope.problems.push(
                Problem::error(first.span.clone(), format!("`{}` needs `{missing}`", first.value))
                    .help("an imported authority has both its certificate and its key"),
            );
        }
        for field in made.into_iter().flatten() {
            let message = format!(
                "`{}` is for an authority that certctl makes; this one exists",
                field.value
            );
            scope.problems.push(
                Problem::error(field.span.clone(), message)
                    .related(first.span.clone(), "imported here")
                    .help(format!("remove `{}`, or `certificate` and `key`", field.value)),
            );
        }
        Some(Self::Imported(ImportedAuthority {
            certificate: certificate.unwrap_or_default(),
            key: key.unwrap_or_default(),
            passphrase_file,
        }))
    }
}

fn subject(mut reader: MappingReader<'_>) -> Subject {
    let mut text = |name, most| reader.parsed(name, attribute(most)).map(|text| text.value);
    let subject = Subject {
        common_name: text("commonName", MAX_NAME),
        organization: text("organization", MAX_NAME),
        organizational_unit: text("organizationalUnit", MAX_NAME),
        province: text("province", MAX_PLACE),
        locality: text("locality", MAX_PLACE),
        country: reader.parsed("country", country).map(|text| text.value),
    };
    reader.finish();
    subject
}

impl WrittenLocal<'_> {
    fn lifetime(&self) -> Lifetime {
        let default = match self.parent {
            Some(_) => LocalAuthority::INTERMEDIATE_LIFETIME,
            None => LocalAuthority::ROOT_LIFETIME,
        };
        self.lifetime.as_ref().map_or(default, |lifetime| lifetime.value)
    }

    /// A subject that nobody wrote is the authority's name and the trust domain, where they fit;
    /// one that somebody wrote gets the name alone.
    fn fill_subject(
        &mut self,
        name: &Spanned<AuthorityName>,
        domain: Option<&TrustDomain>,
        problems: &Problems,
    ) {
        if self.subject == Subject::default() {
            self.subject.organization = domain
                .map(|domain| domain.as_str().to_owned())
                .filter(|text| text.len() <= MAX_NAME);
        }
        if self.subject.common_name.is_some() {
            return;
        }
        if name.value.as_str().len() > MAX_NAME {
            let message =
                format!("the name is too long for a common name of {MAX_NAME} characters");
            problems.push(
                Problem::error(name.span.clone(), message).help("give it a subject.commonName"),
            );
            return;
        }
        self.subject.common_name = Some(name.value.as_str().to_owned());
    }
}

/// The authorities with their parents. Where a parent is wrong there is none in the answer.
pub fn resolve(written: &Written<'_>, problems: &Problems) -> IndexMap<AuthorityName, Authority> {
    let find = |name: &str| written.authorities.iter().find(|a| a.name.value.as_str() == name);
    let resolve = |authority: &WrittenAuthority<'_>| match &authority.kind {
        Kind::Imported(imported) => Authority::Imported(imported.clone()),
        Kind::AcmPca(cas) => Authority::AcmPca(AcmPcaAuthority {
            cas: cas.iter().map(|ca| ca.value.clone()).collect(),
        }),
        Kind::TrustOnly(trust_only) => Authority::TrustOnly(trust_only.clone()),
        Kind::Local(local) => {
            let parent = local.parent.as_ref().and_then(|parent| {
                let found =
                    reference(parent, written, problems).and_then(|_| find(parent.value))?;
                may_sign(authority, parent, found, problems)?;
                outlives(authority, local, found, problems);
                Some(found.name.value.clone())
            });
            Authority::Local(LocalAuthority {
                subject: local.subject.clone(),
                key_algorithm: local.key_algorithm,
                lifetime: local.lifetime(),
                parent,
                passphrase_file: local.passphrase_file.clone(),
            })
        }
    };
    let mut authorities: IndexMap<_, _> = written
        .authorities
        .iter()
        .map(|authority| (authority.name.value.clone(), resolve(authority)))
        .collect();
    break_cycles(written, &mut authorities, problems);
    let cas = written
        .authorities
        .iter()
        .flat_map(|authority| authority.cas().iter().map(|ca| (authority.name.value.as_str(), ca)));
    acm_pca::told_twice(cas, problems);
    authorities
}

/// The authority that `name` refers to, if the file has one; an error says that it has none.
pub fn reference<'a>(
    name: &Spanned<&'a str>,
    written: &Written<'_>,
    problems: &Problems,
) -> Option<&'a str> {
    if written.authority_names.contains(&name.value) {
        return Some(name.value);
    }
    let known = written.authority_names.iter().copied();
    problems.push(
        Problem::error(name.span.clone(), format!("there is no authority `{}`", name.value))
            .maybe_help(problems.did_you_mean(name.value, "authorities", known)),
    );
    None
}

fn may_sign(
    authority: &WrittenAuthority<'_>,
    place: &Spanned<&str>,
    parent: &WrittenAuthority<'_>,
    problems: &Problems,
) -> Option<()> {
    if !matches!(parent.kind, Kind::TrustOnly(_)) {
        return Some(());
    }
    let (child, name) = (&authority.name.value, &parent.name.value);
    problems.push(
        Problem::error(place.span.clone(), format!("`{name}` cannot sign `{child}`"))
            .related(parent.name.span.clone(), "trusted only: there is no key")
            .help("choose one that signs as parent"),
    );
    None
}

fn outlives(
    authority: &WrittenAuthority<'_>,
    local: &WrittenLocal<'_>,
    parent: &WrittenAuthority<'_>,
    problems: &Problems,
) {
    let lifetime = local.lifetime();
    let Some(most) = parent.lifetime().filter(|most| lifetime > *most) else {
        return;
    };
    let (name, above) = (&authority.name.value, &parent.name.value);
    let message = format!("`{name}` would live {lifetime}, and its parent `{above}` only {most}");
    problems.push(
        Problem::error(authority.lifetime_place(), message)
            .related(parent.lifetime_place(), format!("{most} here"))
            .help(format!("give `{name}` a lifetime of at most {most}")),
    );
}

/// Takes away the parent of one authority of each cycle, which is an error.
fn break_cycles(
    written: &Written<'_>,
    authorities: &mut IndexMap<AuthorityName, Authority>,
    problems: &Problems,
) {
    for authority in &written.authorities {
        let mut cycle = vec![authority.name.value.clone()];
        let mut next = parent_of(authorities, &authority.name.value);
        while let Some(name) = next.filter(|name| !cycle.contains(name)) {
            next = parent_of(authorities, &name);
            cycle.push(name);
        }
        // Back at the beginning: a cycle, not only a way into one.
        if parent_of(authorities, &cycle[cycle.len() - 1]).as_ref() != Some(&authority.name.value) {
            continue;
        }
        if let Some(Authority::Local(local)) = authorities.get_mut(&authority.name.value) {
            local.parent = None;
        }
        let Kind::Local(WrittenLocal { parent: Some(place), .. }) = &authority.kind else {
            continue;
        };
        let names: Vec<_> = cycle.iter().map(|name| format!("`{name}`")).collect();
        let message = match names.as_slice() {
            [one] => format!("{one} is its own parent"),
            _ => format!("these are parents of each other: {}", names.join(", ")),
        };
        problems.push(
            Problem::error(place.span.clone(), message)
                .help("remove `parent` from the one that is to be the root"),
        );
    }
}

fn parent_of(
    authorities: &IndexMap<AuthorityName, Authority>,
    name: &AuthorityName,
) -> Option<AuthorityName> {
    match authorities.get(name) {
        Some(Authority::Local(local)) => local.parent.clone(),
        _ => None,
    }
}
