//! Who should exist, who signs them, and whom they trust: what every source says in one form.
//!
//! Values here are whole and consistent: references resolve, names and files do not clash,
//! lifetimes fit. Sources build them; nothing here knows how a certificate is made or served.

pub mod acm_pca;
pub mod app_mesh;
pub mod document;
pub mod layout;
pub mod mesh_file;
pub mod problem;
mod reader;
pub mod schema;
pub mod watch;

use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;

use crate::identity::{AuthorityName, DnsName, NodeName, SpiffeId, TrustDomain};
use crate::time::Lifetime;
use crate::x509::key::KeyAlgorithm;
use crate::x509::profile::Subject;

/// A whole mesh: its authorities and the identities that they sign.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The SPIFFE trust domain of every identity here.
    pub trust_domain: TrustDomain,
    /// How far a certificate's notBefore lies before the moment of issue, for peers whose clocks
    /// are behind.
    pub clock_skew: Duration,
    /// Authorities whose roots nobody trusts any more, at once and without waiting for those whom
    /// that cuts off. No identity is signed under one of them, and no trust set has one.
    pub distrust: Vec<AuthorityName>,
    /// The authorities, in the order in which the source lists them.
    pub authorities: IndexMap<AuthorityName, Authority>,
    /// The nodes and gateways, in the order in which the source lists them.
    pub identities: IndexMap<NodeName, Identity>,
}

/// What a set of roots, and perhaps a signer, is to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Authority {
    /// A CA whose key is in our own state directory, made on first use.
    Local(LocalAuthority),
    /// A CA made elsewhere, whose certificate and key are read from files.
    Imported(ImportedAuthority),
    /// A CA of AWS Private CA, or several in different regions.
    AcmPca(acm_pca::AcmPcaAuthority),
    /// A partner's roots: trusted, but never asked to sign.
    TrustOnly(TrustOnlyAuthority),
}

impl Authority {
    /// Whether its own certificate is what trusting it means, as far as the mesh alone tells: an
    /// imported or a remote one may be an intermediate, and only its certificate says.
    pub fn is_root(&self) -> bool {
        match self {
            Self::Local(local) => local.parent.is_none(),
            Self::Imported(_) | Self::AcmPca(_) => false,
            Self::TrustOnly(_) => true,
        }
    }
}

/// A CA that certctl makes.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalAuthority {
    /// Its subject, which is also the issuer of what it signs.
    pub subject: Subject,
    /// The algorithm of its key.
    pub key_algorithm: KeyAlgorithm,
    /// How long its own certificate lives.
    pub lifetime: Lifetime,
    /// The authority that signs it; none for a self-signed root.
    pub parent: Option<AuthorityName>,
    /// Where the passphrase is that encrypts its key at rest.
    pub passphrase_file: Option<PathBuf>,
}

impl LocalAuthority {
    /// How long a root lives where the source does not say.
    pub const ROOT_LIFETIME: Lifetime = Lifetime::days(3_650);
    /// The same for one under a parent.
    pub const INTERMEDIATE_LIFETIME: Lifetime = Lifetime::days(365);
}

/// A CA that exists already.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedAuthority {
    /// PEM: the CA's certificate, then, unless it is self-signed, those above it up to the root.
    pub certificate: PathBuf,
    /// PEM: PKCS#8 (encrypted or not), SEC1 or PKCS#1.
    pub key: PathBuf,
    /// Where the passphrase of `key` is.
    pub passphrase_file: Option<PathBuf>,
}

/// Roots alone.
#[derive(Clone, Debug, PartialEq)]
pub struct TrustOnlyAuthority {
    /// PEM: one root certificate or more.
    pub certificates: PathBuf,
    /// The trust domain that they vouch for; the mesh's own where none is named.
    pub trust_domain: Option<TrustDomain>,
}

/// One node or gateway of the mesh.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// Its name in the mesh.
    pub name: NodeName,
    /// The URI SAN of its certificate.
    pub spiffe_id: SpiffeId,
    /// The DNS SANs of its certificate, in order, without repetition; the first one is also the
    /// common name where it fits.
    pub dns_names: Vec<DnsName>,
    /// Who signs it; always one that can.
    pub authority: AuthorityName,
    /// The algorithm of its key.
    pub key_algorithm: KeyAlgorithm,
    /// How long its certificate lives; never beyond its authority's.
    pub lifetime: Lifetime,
    /// Whose peers it accepts where nothing more particular is said: its clients on a listener
    /// and its servers on a backend.
    pub trust: TrustSet,
    /// What it does as a server.
    pub listener: Listener,
    /// What it does as a client, by backend. None where it names no backends: it may then call
    /// anyone whom `trust` admits.
    pub backends: Option<IndexMap<NodeName, Backend>>,
    /// How its files are named and who may read them.
    pub files: Files,
    /// Who may ask a running agent for it: whoever fits one of these. Empty where the source names
    /// nobody.
    pub attest: Vec<Grant>,
}

/// A caller that a node's credential is given to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Anybody who can reach the agent.
    Any,
    /// A process of which all of this holds.
    Process(Selectors),
}

/// What must hold of a process, by the kernel's word. At least one is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selectors {
    /// Its effective user.
    pub uid: Option<u32>,
    /// Its effective group.
    pub gid: Option<u32>,
    /// The path of its executable, in its own mount namespace.
    pub executable: Option<PathBuf>,
    /// The SHA-256 of its executable, in lower-case hexadecimal digits.
    pub sha256: Option<String>,
    /// The UID of its Kubernetes pod.
    pub pod: Option<String>,
    /// The id of its container.
    pub container: Option<String>,
}

/// A node's server side.
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    /// The authorities whose clients it accepts.
    pub trust: TrustSet,
    /// The clients it expects. None where it names none: anyone whom `trust` admits may call.
    pub callers: Option<Vec<Caller>>,
    /// Whether it insists on TLS.
    pub mode: ListenerMode,
}

/// A peer that a listener expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A node of this mesh.
    Node(NodeName),
    /// Someone from elsewhere, by SPIFFE ID.
    Id(SpiffeId),
}

/// Whether a listener insists on TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListenerMode {
    /// Plain text is accepted beside mutual TLS.
    Permissive,
    /// Mutual TLS only.
    #[default]
    Strict,
}

/// A node's client side toward one backend.
#[derive(Clone, Debug, PartialEq)]
pub struct Backend {
    /// The authorities whose servers it accepts.
    pub trust: TrustSet,
    /// The backend's TCP port, where the source names one.
    pub port: Option<u16>,
}

/// Authorities whose roots are accepted: at least one, each once, in the order in which the mesh
/// lists its authorities, so that equal sets are equal and name the same bundle.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TrustSet(Vec<AuthorityName>);

impl TrustSet {
    /// The set of those of `authorities` (the mesh's, in its order) that `wanted` accepts; none
    /// when that leaves nothing.
    pub fn of<'a>(
        authorities: impl IntoIterator<Item = &'a AuthorityName>,
        wanted: impl Fn(&AuthorityName) -> bool,
    ) -> Option<Self> {
        let names: Vec<_> = authorities.into_iter().filter(|a| wanted(a)).cloned().collect();
        (!names.is_empty()).then_some(Self(names))
    }

    /// The authorities, in mesh order.
    pub fn names(&self) -> &[AuthorityName] {
        &self.0
    }

    /// Whether `authority` itself is in the set.
    pub fn contains(&self, authority: &AuthorityName) -> bool {
        self.0.contains(authority)
    }
}

/// How a node's files are named and who may read them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// What their names begin with; the node's own name unless the source says otherwise.
    pub base: NodeName,
    /// The user who owns them; the one who issues where none is named.
    pub owner: Option<Account>,
    /// Their group; that of the one who issues where none is named.
    pub group: Option<Account>,
    /// The permission bits of the key file. Never readable by others: at most 0o660.
    pub mode: u32,
}

/// A user or group, by name or number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Account {
    /// As `/etc/passwd` or `/etc/group` has it; looked up when files are written.
    Name(String),
    /// A numeric user or group id.
    Id(u32),
}

/// Whether a trust set accepts what an authority signs, as far as the mesh alone tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission<'a> {
    /// It does, through this member of the set: the authority itself, or one under the same root.
    Admitted(&'a AuthorityName),
    /// It does not.
    Refused,
    /// Under which root an imported authority stands is in its certificate alone.
    Unknown,
}

impl Identity {
    /// Every trust set that it has: its own, its listener's, then those for its backends.
    pub fn trust_sets(&self) -> impl Iterator<Item = &TrustSet> {
        let backends = self.backends.iter().flatten().map(|(_, backend)| &backend.trust);
        [&self.trust, &self.listener.trust].into_iter().chain(backends)
    }
}

impl Listener {
    /// Whether `client` may call, by its name; trust is another matter.
    pub fn expects(&self, client: &Identity) -> bool {
        self.callers.as_ref().is_none_or(|callers| {
            callers.iter().any(|caller| match caller {
                Caller::Node(name) => *name == client.name,
                Caller::Id(id) => *id == client.spiffe_id,
            })
        })
    }
}

impl Desired {
    /// Whether an authority's keys are at AWS.
    pub fn is_remote(&self) -> bool {
        self.authorities.values().any(|authority| matches!(authority, Authority::AcmPca(_)))
    }

    /// The SPIFFE IDs of those whom `identity` expects to call it; none where it names none.
    pub fn callers_of(&self, identity: &Identity) -> Option<Vec<SpiffeId>> {
        let id = |caller: &Caller| match caller {
            Caller::Node(name) => {
                self.identities.get(name).map(|identity| identity.spiffe_id.clone())
            }
            Caller::Id(id) => Some(id.clone()),
        };
        identity.listener.callers.as_ref().map(|callers| callers.iter().filter_map(id).collect())
    }

    /// Whether leaves that `signer` signs verify against `trust`.
    pub fn admission<'a>(
        &'a self,
        trust: &'a TrustSet,
        signer: &'a AuthorityName,
    ) -> Admission<'a> {
        if trust.contains(signer) {
            return Admission::Admitted(signer);
        }
        let root = self.root_of(signer);
        if let Some(by) = trust.names().iter().find(|name| self.root_of(name) == root) {
            return Admission::Admitted(by);
        }
        let made_here = |name| matches!(self.authorities.get(name), Some(Authority::Local(_)));
        let brought = trust.names().iter().any(|name| !made_here(self.root_of(name)));
        if brought && !made_here(root) { Admission::Unknown } else { Admission::Refused }
    }

    /// The authority for whose sake `authority` is distrusted, if it is: itself, or one above it.
    pub fn distrusted<'a>(&'a self, authority: &'a AuthorityName) -> Option<&'a AuthorityName> {
        std::iter::once(authority)
            .chain(self.above(authority))
            .find(|name| self.distrust.contains(name))
    }

    /// The authorities above `authority`, its parent first.
    pub fn above<'a>(
        &'a self,
        authority: &AuthorityName,
    ) -> impl Iterator<Item = &'a AuthorityName> {
        let parent = |name: &AuthorityName| match self.authorities.get(name) {
            Some(Authority::Local(local)) => local.parent.as_ref(),
            _ => None,
        };
        std::iter::successors(parent(authority), move |name| parent(name))
    }

    /// The authority at the top of the chain that `authority` signs under: itself when it is a
    /// root. An intermediate's trust anchor is its root's certificate, so two authorities under
    /// one root admit each other's leaves.
    pub fn root_of<'a>(&'a self, authority: &'a AuthorityName) -> &'a AuthorityName {
        let mut name = authority;
        while let Some(Authority::Local(LocalAuthority { parent: Some(parent), .. })) =
            self.authorities.get(name)
        {
            name = parent;
        }
        name
    }

    /// The authorities that sign directly under `authority`.
    pub fn children_of<'a>(
        &'a self,
        authority: &'a AuthorityName,
    ) -> impl Iterator<Item = &'a AuthorityName> {
        self.authorities.iter().filter_map(move |(name, kind)| match kind {
            Authority::Local(local) if local.parent.as_ref() == Some(authority) => Some(name),
            _ => None,
        })
    }
}
