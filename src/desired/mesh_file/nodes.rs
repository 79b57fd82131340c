//! The virtual nodes and gateways of a mesh file, as they are written, and the defaults for them.

use super::attest::attest;
use super::values::{Texts, account, distinct, file_mode, listener_mode, texts};
use crate::desired::document::{Node, Spanned, Value};
use crate::desired::problem::{Problem, Problems};
use crate::desired::reader::{self, MappingReader};
use crate::desired::{Account, Grant, ListenerMode};
use crate::identity::{DnsName, NodeName};
use crate::time::Lifetime;
use crate::x509::key::KeyAlgorithm;

/// What a node may say, and `defaults` for those that don't.
#[derive(Default)]
pub struct Settings<'a> {
    /// The outer one says whether there is such a field, the inner one whether it can be read.
    pub authority: Option<Option<Spanned<&'a str>>>,
    pub trust: Option<Texts<'a>>,
    pub listener_trust: Option<Texts<'a>>,
    pub mode: Option<ListenerMode>,
    pub lifetime: Option<Spanned<Lifetime>>,
    pub key_algorithm: Option<KeyAlgorithm>,
    pub owner: Option<Account>,
    pub group: Option<Account>,
    pub file_mode: Option<u32>,
    pub attest: Option<Vec<Grant>>,
}

/// A node or gateway as it is written.
pub struct WrittenNode<'a> {
    /// Its name, at its key.
    pub name: Spanned<NodeName>,
    /// What it says.
    pub settings: Settings<'a>,
    /// Its DNS names, where it lists any or none on purpose.
    pub dns_names: Option<Vec<Spanned<DnsName>>>,
    pub spiffe_path: Option<Spanned<&'a str>>,
    /// The names or SPIFFE IDs that it expects as a server.
    pub callers: Option<Texts<'a>>,
    pub backends: Option<Vec<WrittenBackend<'a>>>,
    /// What its files' names begin with.
    pub base: Option<Spanned<NodeName>>,
}

/// A backend as it is written.
pub struct WrittenBackend<'a> {
    /// The node that it is.
    pub name: Spanned<&'a str>,
    pub trust: Option<Texts<'a>>,
    pub port: Option<u16>,
}

impl<'a> Settings<'a> {
    /// Reads `defaults`.
    pub fn read_defaults(mut reader: MappingReader<'a>) -> Self {
        let mut settings = Self::read(&mut reader);
        if let Some(mut listener) = reader.mapping("listener", "`defaults.listener`") {
            settings.read_listener(&mut listener);
            listener.finish();
        }
        if let Some(mut files) = reader.mapping("files", "`defaults.files`") {
            settings.read_files(&mut files);
            files.finish();
        }
        reader.finish();
        settings
    }

    fn read(reader: &mut MappingReader<'a>) -> Self {
        Self {
            authority: reader.optional("authority").is_some().then(|| reader.text("authority")),
            trust: texts(reader, "trust"),
            lifetime: reader.parsed("lifetime", Lifetime::parse),
            key_algorithm: reader.parsed("keyAlgorithm", str::parse).map(|it| it.value),
            attest: attest(reader),
            ..Self::default()
        }
    }

    fn read_listener(&mut self, listener: &mut MappingReader<'a>) {
        self.listener_trust = texts(listener, "trust");
        self.mode = listener.parsed("mode", listener_mode).map(|mode| mode.value);
    }

    fn read_files(&mut self, files: &mut MappingReader<'a>) {
        self.owner = files.parsed("owner", account).map(|owner| owner.value);
        self.group = files.parsed("group", account).map(|group| group.value);
        self.file_mode = files.parsed("mode", file_mode).map(|mode| mode.value);
    }
}

impl<'a> WrittenNode<'a> {
    /// Reads `what`, one node. None where its name is unusable; what else is wrong counts as not
    /// written.
    pub fn read(
        key: &Spanned<String>,
        node: &'a Node,
        what: &'static str,
        problems: &'a Problems,
    ) -> Option<Self> {
        let name = match NodeName::parse(&key.value) {
            Ok(value) => Some(Spanned { value, span: key.span.clone() }),
            Err(error) => problems.error(key.span.clone(), error.to_string()),
        };
        let mut reader = MappingReader::new(node, what, problems)?;
        let mut settings = Settings::read(&mut reader);
        let dns_names = dns_names(&mut reader);
        let spiffe_path = reader.text("spiffePath");
        let callers = callers(&mut reader, &mut settings);
        let backends = backends(&mut reader);
        let mut base = None;
        if let Some(mut files) = reader.mapping("files", "`files`") {
            base = files.parsed("name", NodeName::parse);
            settings.read_files(&mut files);
            files.finish();
        }
        reader.finish();
        Some(Self { name: name?, settings, dns_names, spiffe_path, callers, backends, base })
    }
}

fn dns_names(reader: &mut MappingReader<'_>) -> Option<Vec<Spanned<DnsName>>> {
    let problems = reader.problems();
    let listed = reader.sequence("dnsNames")?;
    let mut names: Vec<Spanned<DnsName>> = Vec::new();
    for node in listed.value {
        let Some(name) = reader::text("dnsNames", node, problems)
            .and_then(|text| reader::parsed(&text, DnsName::parse, problems))
        else {
            continue;
        };
        match names.iter().find(|other| other.value == name.value) {
            None => names.push(name),
            Some(first) => problems.push(
                Problem::error(name.span, format!("`{}` is in `dnsNames` twice", name.value))
                    .related(first.span.clone(), "first here")
                    .help("remove one of the two; case makes no difference in DNS"),
            ),
        }
    }
    Some(names)
}

/// Reads `listener`, and `callers` there or beside it.
fn callers<'a>(reader: &mut MappingReader<'a>, settings: &mut Settings<'a>) -> Option<Texts<'a>> {
    let short_key = reader.field("callers").map(|(key, _)| key.span.clone());
    let short = texts(reader, "callers");
    let Some(mut listener) = reader.mapping("listener", "`listener`") else {
        return short;
    };
    settings.read_listener(&mut listener);
    let long_key = listener.field("callers").map(|(key, _)| key.span.clone());
    let long = texts(&mut listener, "callers");
    listener.finish();
    if let (Some(short), Some(long)) = (short_key, long_key) {
        reader.problems().push(
            Problem::error(short, "`callers` is short for `listener.callers`, and both are here")
                .related(long, "the other one")
                .help("keep one of the two"),
        );
    }
    long.or(short)
}

/// Reads `backends`: a list of names, or a mapping from names to what is particular to each.
fn backends<'a>(reader: &mut MappingReader<'a>) -> Option<Vec<WrittenBackend<'a>>> {
    let problems = reader.problems();
    let node = reader.optional("backends")?;
    let entries = match &node.value {
        Value::Sequence(nodes) => {
            let names = nodes.iter().filter_map(|node| reader::text("backends", node, problems));
            let bare = |name| WrittenBackend { name, trust: None, port: None };
            return Some(
                distinct(names.collect(), "backends", problems).into_iter().map(bare).collect(),
            );
        }
        Value::Mapping(entries) => entries,
        Value::Scalar { text, .. } => {
            let message = "`backends` must be a list or a mapping, and this is a single value";
            let help = format!("write [{text}]");
            problems.push(Problem::error(node.span.clone(), message).help(help));
            return None;
        }
        Value::Null => {
            reader.required("backends");
            return None;
        }
    };
    let backend = |(key, node): &'a (Spanned<String>, Node)| {
        let mut reader = MappingReader::new(node, "a backend", problems)?;
        let trust = texts(&mut reader, "trust");
        let port = reader.parsed("port", port).map(|port| port.value);
        reader.finish();
        let name = Spanned { value: key.value.as_str(), span: key.span.clone() };
        Some(WrittenBackend { name, trust, port })
    };
    Some(entries.iter().filter_map(backend).collect())
}

fn port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(format!("{text:?} is no TCP port; write a number from 1 to 65535")),
    }
}
