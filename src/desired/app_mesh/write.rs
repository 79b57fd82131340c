//! A mesh file as text, with comments. Knows the file's notation, not how its content came about.

use std::fmt::Write;

use crate::x509::printable::printable;

/// Where a line of comment ends.
const WIDTH: usize = 100;

/// Content with what there is to say about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remarked<T> {
    pub value: T,
    pub remarks: Vec<String>,
}

/// A mesh file to be.
#[derive(Debug, Default)]
pub struct MeshText {
    pub head: Vec<String>,
    pub trust_domain: Remarked<String>,
    pub authorities: Vec<AuthorityText>,
    pub nodes: Vec<ProxyText>,
    pub gateways: Vec<ProxyText>,
    /// Said at the end, about what is not in the file.
    pub left_out: Vec<String>,
}

/// An authority.
#[derive(Debug, Default)]
pub struct AuthorityText {
    pub name: String,
    pub remarks: Vec<String>,
    pub kind: AuthorityKind,
}

/// Where an authority's key is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AuthorityKind {
    /// Here.
    #[default]
    Local,
    /// At AWS: the CA's ARN.
    AcmPca(String),
    /// With others: the file with its roots.
    TrustOnly(String),
}

/// A node or gateway.
#[derive(Debug, Default)]
pub struct ProxyText {
    pub name: String,
    pub remarks: Vec<String>,
    pub authority: Remarked<Option<String>>,
    pub dns_names: Remarked<Vec<String>>,
    pub spiffe_path: Remarked<Option<String>>,
    pub trust: Remarked<Option<Vec<String>>>,
    pub callers: Remarked<Option<Vec<String>>>,
    pub listener: Remarked<ListenerText>,
    pub backends: Remarked<Option<Vec<BackendText>>>,
    pub files_name: Remarked<Option<String>>,
}

/// What is particular to the listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListenerText {
    pub trust: Option<Vec<String>>,
    pub permissive: bool,
}

/// A backend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackendText {
    pub name: String,
    pub remarks: Vec<String>,
    pub trust: Option<Vec<String>>,
    pub port: Option<u16>,
}

impl<T> Remarked<T> {
    /// Adds a remark.
    pub fn remark(&mut self, text: impl Into<String>) {
        self.remarks.push(text.into());
    }
}

impl MeshText {
    /// The text.
    pub fn render(&self) -> String {
        let mut out = Out(String::new());
        out.remarks(0, &self.head);
        out.line(0, "version: 1");
        out.remarks(0, &self.trust_domain.remarks);
        out.field(0, "trustDomain", &scalar(&self.trust_domain.value));
        out.line(0, "");
        out.line(0, "authorities:");
        for authority in &self.authorities {
            out.remarks(1, &authority.remarks);
            let kind = match &authority.kind {
                AuthorityKind::Local => "{}".to_owned(),
                AuthorityKind::AcmPca(arn) => format!("{{ acmPca: {{ arn: {} }} }}", scalar(arn)),
                AuthorityKind::TrustOnly(file) => {
                    format!("{{ trustOnly: {{ certificates: {} }} }}", scalar(file))
                }
            };
            out.field(1, &scalar(&authority.name), &kind);
        }
        for (section, proxies) in
            [("virtualNodes", &self.nodes), ("virtualGateways", &self.gateways)]
        {
            if !proxies.is_empty() {
                out.line(0, "");
                out.line(0, &format!("{section}:"));
                proxies.iter().for_each(|proxy| out.proxy(proxy));
            }
        }
        if !self.left_out.is_empty() {
            out.line(0, "");
            out.remarks(0, &self.left_out);
        }
        out.0
    }
}

struct Out(String);

impl Out {
    fn proxy(&mut self, proxy: &ProxyText) {
        self.remarks(1, &proxy.remarks);
        let start = self.0.len();
        self.line(1, &format!("{}:", scalar(&proxy.name)));
        let fields = self.0.len();
        self.remarks(2, &proxy.authority.remarks);
        if let Some(authority) = &proxy.authority.value {
            self.field(2, "authority", &scalar(authority));
        }
        self.remarks(2, &proxy.spiffe_path.remarks);
        if let Some(path) = &proxy.spiffe_path.value {
            self.field(2, "spiffePath", &scalar(path));
        }
        self.remarks(2, &proxy.dns_names.remarks);
        self.list(2, "dnsNames", &proxy.dns_names.value);
        self.remarks(2, &proxy.trust.remarks);
        if let Some(trust) = &proxy.trust.value {
            self.field(2, "trust", &set(trust));
        }
        self.remarks(2, &proxy.callers.remarks);
        match &proxy.callers.value {
            Some(callers) if callers.is_empty() => self.field(2, "callers", "[]"),
            Some(callers) => self.list(2, "callers", callers),
            None => {}
        }
        let ListenerText { trust, permissive } = &proxy.listener.value;
        self.remarks(2, &proxy.listener.remarks);
        if trust.is_some() || *permissive {
            self.line(2, "listener:");
            if let Some(trust) = trust {
                self.field(3, "trust", &set(trust));
            }
            if *permissive {
                self.field(3, "mode", "permissive");
            }
        }
        self.remarks(2, &proxy.backends.remarks);
        self.backends(proxy.backends.value.as_deref());
        self.remarks(2, &proxy.files_name.remarks);
        if let Some(name) = &proxy.files_name.value {
            self.field(2, "files", &format!("{{ name: {} }}", scalar(name)));
        }
        if !self.0[fields..].lines().any(|line| !line.trim_start().starts_with('#')) {
            // Nothing but remarks: an empty mapping, with the remarks before it.
            let said = self.0.split_off(fields);
            self.0.truncate(start);
            self.0.push_str(&said);
            self.line(1, &format!("{}: {{}}", scalar(&proxy.name)));
        }
    }

    fn backends(&mut self, backends: Option<&[BackendText]>) {
        let Some(backends) = backends else { return };
        if backends.is_empty() {
            self.field(2, "backends", "{}");
            return;
        }
        self.line(2, "backends:");
        for backend in backends {
            self.remarks(3, &backend.remarks);
            let trust = backend.trust.as_ref().map(|trust| format!("trust: {}", set(trust)));
            let port = backend.port.map(|port| format!("port: {port}"));
            let inner: Vec<_> = trust.into_iter().chain(port).collect();
            let inner = match inner.join(", ") {
                inner if inner.is_empty() => "{}".to_owned(),
                inner => format!("{{ {inner} }}"),
            };
            self.field(3, &scalar(&backend.name), &inner);
        }
    }

    fn list(&mut self, depth: usize, key: &str, values: &[String]) {
        if values.is_empty() {
            return;
        }
        let short = format!("{:indent$}{key}: {}", "", set(values), indent = 2 * depth);
        if short.len() <= WIDTH {
            self.field(depth, key, &set(values));
            return;
        }
        self.line(depth, &format!("{key}:"));
        for value in values {
            self.line(depth + 1, &format!("- {}", scalar(value)));
        }
    }

    fn field(&mut self, depth: usize, key: &str, value: &str) {
        self.line(depth, &format!("{key}: {value}"));
    }

    fn line(&mut self, depth: usize, text: &str) {
        let indent = if text.is_empty() { 0 } else { 2 * depth };
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{:indent$}{text}", "");
    }

    fn remarks(&mut self, depth: usize, remarks: &[String]) {
        for remark in remarks {
            let mut line = String::new();
            for word in printable(remark).split(' ') {
                let full = 2 * depth + 2 + line.chars().count() + 1 + word.chars().count() > WIDTH;
                if full && !line.is_empty() {
                    self.line(depth, &format!("# {line}"));
                    line.clear();
                }
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(word);
            }
            self.line(depth, &format!("# {line}"));
        }
    }
}

fn set(names: &[String]) -> String {
    format!("[{}]", names.iter().map(|name| scalar(name)).collect::<Vec<_>>().join(", "))
}

/// The text as a YAML scalar: plain where nobody could read it as anything else, otherwise in
/// double quotes (YAML 1.2 section 7.3.1, whose escapes include JSON's).
fn scalar(text: &str) -> String {
    let rest = text.strip_prefix("spiffe://").unwrap_or(text);
    let plain = rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && rest.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/'))
        && !matches!(
            text.to_ascii_lowercase().as_str(),
            "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n" | "null"
        );
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_yaml_would_misread_is_quoted() {
        for (text, written) in [
            ("front", "front"),
            ("front.ns.svc", "front.ns.svc"),
            ("spiffe://a.b/c", "spiffe://a.b/c"),
            ("no", "\"no\""),
            ("123", "\"123\""),
            ("1e3", "\"1e3\""),
            ("a: b", "\"a: b\""),
            ("a\nb: c", "\"a\\nb: c\""),
            ("a #b", "\"a #b\""),
            ("", "\"\""),
        ] {
            assert_eq!(scalar(text), written);
        }
    }

    #[test]
    fn a_remark_never_leaves_its_comment() {
        let mut out = Out(String::new());
        out.remarks(1, &["a\nversion: 2\r\u{2028}x \u{1b}[31m".to_owned(), "word ".repeat(60)]);
        assert!(
            out.0.lines().all(|line| line.starts_with("  # ") && line.len() <= WIDTH),
            "{}",
            out.0
        );
        assert!(!out.0.contains(['\r', '\u{1b}', '\u{2028}']));
    }

    #[test]
    fn a_node_with_nothing_to_say_is_an_empty_mapping() {
        let proxy = ProxyText {
            name: "blue".into(),
            authority: Remarked { value: None, remarks: vec!["CHOOSE".into()] },
            ..ProxyText::default()
        };
        let mut out = Out(String::new());
        out.proxy(&proxy);
        assert_eq!(out.0, "    # CHOOSE\n  blue: {}\n");
    }
}
