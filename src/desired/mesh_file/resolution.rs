//! From what nodes say to what they mean: defaults filled in, references followed.

use std::collections::HashMap;
use std::ops::Range;

use indexmap::IndexMap;

use super::Written;
use super::authorities::reference;
use super::nodes::{WrittenBackend, WrittenNode};
use super::values::Texts;
use crate::desired::document::Spanned;
use crate::desired::problem::{Problem, Problems};
use crate::desired::{Authority, Backend, Caller, Desired, Files, Identity, Listener, TrustSet};
use crate::identity::{AuthorityName, DnsName, NodeName, SpiffeId};
use crate::time::Lifetime;

const DEFAULT_LIFETIME: Lifetime = Lifetime::hours(24);
const DEFAULT_FILE_MODE: u32 = 0o600;

/// The identities of `written`, those left out that cannot be made. `desired` has the authorities.
pub fn identities(
    written: &Written<'_>,
    desired: &Desired,
    problems: &Problems,
) -> IndexMap<NodeName, Identity> {
    let context = Context::new(written, desired, problems);
    let mut identities = IndexMap::new();
    for node in &written.nodes {
        if let Some(identity) = context.identity(node) {
            identities.insert(node.name.value.clone(), identity);
        }
    }
    identities
}

/// Tells what is wrong with a list of authorities to trust.
pub fn trust_is_sound(
    names: &Texts<'_>,
    written: &Written<'_>,
    desired: &Desired,
    problems: &Problems,
) {
    if names.value.is_empty() {
        problems.push(
            Problem::error(names.span.clone(), "`trust` is empty: nobody would be accepted")
                .help("name an authority, or leave `trust` out"),
        );
    }
    for name in &names.value {
        reference(name, written, problems);
    }
    let distrusted = |name: &Spanned<&str>| {
        let known = desired.authorities.keys().find(|known| known.as_str() == name.value);
        known.is_some_and(|known| desired.distrusted(known).is_some())
    };
    if !names.value.is_empty() && names.value.iter().all(distrusted) {
        let message = "`trust` names only what is distrusted: nobody would be accepted";
        problems.push(
            Problem::error(names.span.clone(), message)
                .help("name an authority that is not, or leave `trust` out"),
        );
    }
}

struct Context<'a> {
    written: &'a Written<'a>,
    desired: &'a Desired,
    problems: &'a Problems,
    /// The authorities that can sign and may.
    signers: Vec<&'a AuthorityName>,
    /// Of each node, whether it lists its authority or not.
    authority_of: HashMap<&'a str, &'a AuthorityName>,
    /// Of each SPIFFE ID here, its node.
    node_of: HashMap<SpiffeId, &'a WrittenNode<'a>>,
}

impl<'a> Context<'a> {
    fn new(written: &'a Written<'a>, desired: &'a Desired, problems: &'a Problems) -> Self {
        let signs = |name: &AuthorityName, authority: &Authority| {
            !matches!(authority, Authority::TrustOnly(_)) && desired.distrusted(name).is_none()
        };
        let signers = desired.authorities.iter().filter(|(n, a)| signs(n, a)).map(|(n, _)| n);
        let mut context = Self {
            written,
            desired,
            problems,
            signers: signers.collect(),
            authority_of: HashMap::new(),
            node_of: HashMap::new(),
        };
        context.node_of = written
            .nodes
            .iter()
            .filter_map(|node| Some((context.spiffe_id(node).ok()?, node)))
            .collect();
        context.authority_of = written
            .nodes
            .iter()
            .filter_map(|node| Some((node.name.value.as_str(), context.authority(node)?)))
            .collect();
        context
    }

    fn identity(&self, node: &'a WrittenNode<'a>) -> Option<Identity> {
        let settings = &node.settings;
        let defaults = &self.written.defaults;
        let authority = self.authority_of.get(node.name.value.as_str()).copied();
        let spiffe_id = self.spiffe_id(node).map_err(|problem| self.problems.push(problem)).ok();
        let dns_names = self.dns_names(node);
        let callers = node.callers.as_ref().map(|callers| self.callers(callers));
        let backends = self.known_backends(node);
        self.lifetime_fits(node, authority);

        let own_trust = settings.trust.as_ref().and_then(|trust| self.trust_set(trust));
        let default_trust = defaults.trust.as_ref().and_then(|trust| self.quiet_set(trust));
        let trust = own_trust
            .clone()
            .or(default_trust)
            .or_else(|| self.peers_trust(authority?, callers.as_deref(), &backends));
        let listener_trust = settings
            .listener_trust
            .as_ref()
            .and_then(|trust| self.trust_set(trust))
            .or(own_trust)
            .or_else(|| self.quiet_set(defaults.listener_trust.as_ref()?))
            .or_else(|| trust.clone());
        let backends = backends.map(|backends| {
            let with_trust = |(name, written): (NodeName, &WrittenBackend<'_>)| {
                let own = written.trust.as_ref().and_then(|trust| self.trust_set(trust));
                let trust = own.or_else(|| trust.clone())?;
                Some((name, Backend { trust, port: written.port }))
            };
            backends.into_iter().filter_map(with_trust).collect()
        });
        Some(Identity {
            name: node.name.value.clone(),
            spiffe_id: spiffe_id?,
            dns_names,
            authority: authority?.clone(),
            key_algorithm: settings.key_algorithm.or(defaults.key_algorithm).unwrap_or_default(),
            lifetime: self.lifetime(node).0,
            trust: trust?,
            listener: Listener {
                trust: listener_trust?,
                callers,
                mode: settings.mode.or(defaults.mode).unwrap_or_default(),
            },
            backends,
            files: Files {
                base: node.base.as_ref().unwrap_or(&node.name).value.clone(),
                owner: settings.owner.clone().or_else(|| defaults.owner.clone()),
                group: settings.group.clone().or_else(|| defaults.group.clone()),
                mode: settings.file_mode.or(defaults.file_mode).unwrap_or(DEFAULT_FILE_MODE),
            },
            attest: settings
                .attest
                .as_ref()
                .or(defaults.attest.as_ref())
                .cloned()
                .unwrap_or_default(),
        })
    }

    /// The authority that a node names, or its default, or the only one that can sign.
    fn authority(&self, node: &WrittenNode<'a>) -> Option<&'a AuthorityName> {
        let named = node.settings.authority.as_ref().or(self.written.defaults.authority.as_ref());
        let named = match named {
            Some(named) => named.as_ref()?,
            None => return self.only_signer(node),
        };
        let name = reference(named, self.written, self.problems)?;
        let (name, authority) =
            self.desired.authorities.iter().find(|(n, _)| n.as_str() == name)?;
        let message = match (authority, self.desired.distrusted(name)) {
            (Authority::TrustOnly(_), _) => {
                format!("`{name}` signs nothing: it is trusted only, and has no key")
            }
            (_, Some(by)) if by == name => format!("`{name}` may not sign: it is distrusted"),
            (_, Some(by)) => format!("`{name}` may not sign: it stands under `{by}`, distrusted"),
            (_, None) => return Some(name),
        };
        let known = self.signers.iter().map(|name| name.as_str()).collect::<Vec<_>>();
        let help = if known.is_empty() {
            "add a local authority: ca_1: {}".to_owned()
        } else {
            format!("those that sign: {}", known.join(", "))
        };
        self.problems.push(Problem::error(named.span.clone(), message).help(help));
        None
    }

    fn only_signer(&self, node: &WrittenNode<'_>) -> Option<&'a AuthorityName> {
        let name = &node.name.value;
        let (message, help) = match self.signers.as_slice() {
            [one] => return Some(one),
            // That there is no authority at all has been said.
            [] if self.written.authority_names.is_empty() => return None,
            [] => (
                format!("nobody can sign `{name}`: no authority here has a key and is trusted"),
                "add a local authority: ca_1: {}".to_owned(),
            ),
            several => {
                let several: Vec<_> = several.iter().map(|name| format!("`{name}`")).collect();
                (
                    format!("which authority signs `{name}`? {} could", several.join(", ")),
                    "give it an `authority`, or all of them with `defaults.authority`".to_owned(),
                )
            }
        };
        self.problems.push(Problem::error(node.name.span.clone(), message).help(help));
        None
    }

    fn spiffe_id(&self, node: &WrittenNode<'_>) -> Result<SpiffeId, Problem> {
        let (path, span) = match &node.spiffe_path {
            Some(path) => (path.value.to_owned(), &path.span),
            None => (format!("/{}", node.name.value), &node.name.span),
        };
        let id = self.written.trust_domain.id(&path);
        id.map_err(|error| Problem::error(span.clone(), error.to_string()))
    }

    fn dns_names(&self, node: &WrittenNode<'_>) -> Vec<DnsName> {
        if let Some(names) = &node.dns_names {
            return names.iter().map(|name| name.value.clone()).collect();
        }
        let Some(suffix) = &self.written.dns_suffix else {
            return Vec::new();
        };
        match DnsName::parse(&format!("{}.{}", node.name.value, suffix.value)) {
            Ok(name) => vec![name],
            Err(error) => {
                self.problems.push(
                    Problem::error(node.name.span.clone(), error.to_string())
                        .related(suffix.span.clone(), "the suffix is from here")
                        .help("give the node its `dnsNames`, or dnsNames: [] for none"),
                );
                Vec::new()
            }
        }
    }

    fn lifetime(&self, node: &WrittenNode<'_>) -> (Lifetime, Range<usize>) {
        match node.settings.lifetime.as_ref().or(self.written.defaults.lifetime.as_ref()) {
            Some(lifetime) => (lifetime.value, lifetime.span.clone()),
            None => (DEFAULT_LIFETIME, node.name.span.clone()),
        }
    }

    fn lifetime_fits(&self, node: &WrittenNode<'_>, authority: Option<&AuthorityName>) {
        let (lifetime, place) = self.lifetime(node);
        let Some((name, Authority::Local(local))) =
            authority.and_then(|name| self.desired.authorities.get_key_value(name))
        else {
            return;
        };
        if lifetime <= local.lifetime {
            return;
        }
        let most = local.lifetime;
        // A default is wrong once, not for each node.
        let whose = match (&node.settings.lifetime, &self.written.defaults.lifetime) {
            (None, Some(_)) => "a node".to_owned(),
            _ => format!("`{}`", node.name.value),
        };
        let message =
            format!("{whose} would live {lifetime}, and its authority `{name}` only {most}");
        let problem = Problem::error(place, message).help(format!("choose at most {most}"));
        let signer = self.written.authorities.iter().find(|written| written.name.value == *name);
        self.problems.push(match signer {
            Some(signer) => problem.related(signer.lifetime_place(), format!("{most} here")),
            None => problem,
        });
    }

    fn callers(&self, callers: &Texts<'_>) -> Vec<Caller> {
        callers.value.iter().filter_map(|caller| self.caller(caller)).collect()
    }

    fn caller(&self, caller: &Spanned<&str>) -> Option<Caller> {
        if !caller.value.starts_with("spiffe:") {
            return self.node(caller, "or a SPIFFE ID, beginning with spiffe://").map(Caller::Node);
        }
        match SpiffeId::parse(caller.value) {
            Ok(id) => Some(Caller::Id(id)),
            Err(error) => self.problems.error(caller.span.clone(), error.to_string()),
        }
    }

    fn known_backends(
        &self,
        node: &'a WrittenNode<'a>,
    ) -> Option<Vec<(NodeName, &'a WrittenBackend<'a>)>> {
        let backends = node.backends.as_ref()?.iter();
        Some(backends.filter_map(|b| Some((self.node(&b.name, "")?, b))).collect())
    }

    /// The node that `name` refers to; an error says that there is none.
    fn node(&self, name: &Spanned<&str>, otherwise: &str) -> Option<NodeName> {
        if self.written.node_names.contains(name.value) {
            // One that cannot be a name has been refused at its own place.
            return NodeName::parse(name.value).ok();
        }
        let known = self.written.node_names.iter().copied();
        let help = self
            .problems
            .did_you_mean(name.value, "nodes", known)
            .or_else(|| (!otherwise.is_empty()).then(|| format!("name a node, {otherwise}")));
        let message = format!("there is no node `{}`", name.value);
        self.problems.push(Problem::error(name.span.clone(), message).maybe_help(help));
        None
    }

    /// The set of what a list names; what is wrong with it is told.
    fn trust_set(&self, names: &Texts<'_>) -> Option<TrustSet> {
        trust_is_sound(names, self.written, self.desired, self.problems);
        self.quiet_set(names)
    }

    fn quiet_set(&self, names: &Texts<'_>) -> Option<TrustSet> {
        let listed = |name: &AuthorityName| {
            names.value.iter().any(|n| n.value == name.as_str())
                && self.desired.distrusted(name).is_none()
        };
        TrustSet::of(self.desired.authorities.keys(), listed)
    }

    /// What a node trusts that does not say: the authorities of its peers and its own.
    fn peers_trust(
        &self,
        own: &AuthorityName,
        callers: Option<&[Caller]>,
        backends: &Option<Vec<(NodeName, &WrittenBackend<'_>)>>,
    ) -> Option<TrustSet> {
        let callers = callers.into_iter().flatten().filter_map(|caller| match caller {
            Caller::Node(name) => Some(name.as_str()),
            Caller::Id(id) => self.node_of.get(id).map(|node| node.name.value.as_str()),
        });
        let backends = backends.iter().flatten().map(|(name, _)| name.as_str());
        let mut wanted: Vec<_> = callers
            .chain(backends)
            .filter_map(|name| self.authority_of.get(name).copied())
            .collect();
        wanted.push(own);
        TrustSet::of(self.desired.authorities.keys(), |name| wanted.contains(&name))
    }
}
