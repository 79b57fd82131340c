//! What file names, SDS secret names and ARNs say about who signs and who is meant.

use crate::identity::{AuthorityName, NodeName, SpiffeId, TrustDomain};

/// What the name of a trust file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustFile {
    /// One authority: `ca_1_cert.pem`, `ca.crt`.
    One(String),
    /// Several in one: the `ca_1_ca_2` of `ca_1_ca_2_bundle.pem`.
    Bundle(String),
}

/// What an SDS secret is named after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SdsName {
    /// `spiffe://domain`: the roots of a trust domain.
    Domain(TrustDomain),
    /// `spiffe://domain/path`: a workload.
    Id(SpiffeId),
    /// Anything else.
    Other(String),
}

impl TrustFile {
    /// Reads the last part of a path.
    pub fn of(path: &str) -> Self {
        let stem = stem(path);
        if let Some(bundle) = strip_any(stem, &["_bundle", "-bundle", ".bundle"]) {
            return Self::Bundle(bundle.to_owned());
        }
        let chain = strip_any(stem, &["_cert_chain", "-cert-chain", "_chain", "-chain"]);
        let one = chain.or_else(|| strip_any(stem, &["_cert", "-cert"])).unwrap_or(stem);
        Self::One(one.to_owned())
    }
}

impl SdsName {
    /// Reads a secret's name.
    pub fn of(text: &str) -> Self {
        if let Ok(id) = SpiffeId::parse(text) {
            return Self::Id(id);
        }
        let domain = text.strip_prefix("spiffe://").map(|rest| rest.trim_end_matches('/'));
        match domain.map(TrustDomain::parse) {
            Some(Ok(domain)) => Self::Domain(domain),
            _ => Self::Other(text.to_owned()),
        }
    }
}

/// The base name under which `certctl issue` writes files of exactly these names:
/// `BASE_cert_chain.pem` or `BASE_cert.pem` beside `BASE_key.pem`.
pub fn file_base(chain: &str, key: &str) -> Option<NodeName> {
    let chain = file_name(chain).strip_suffix(".pem")?;
    let base = chain.strip_suffix("_cert_chain").or_else(|| chain.strip_suffix("_cert"))?;
    let key = file_name(key).strip_suffix("_key.pem")?;
    (key == base).then(|| NodeName::parse(base).ok()).flatten()
}

/// The authorities that a bundle's name is put together from, `known` ones where they fit:
/// `ca_1_ca_2` is `ca_1` and `ca_2`.
pub fn bundled(stem: &str, known: &[String]) -> Vec<String> {
    let tokens: Vec<&str> = stem.split('_').collect();
    if let Some(cover) = cover(&tokens, known) {
        return cover;
    }
    let starts: Vec<usize> = (0..tokens.len()).filter(|at| tokens[*at] == tokens[0]).collect();
    let width = tokens.len() / starts.len();
    if starts.len() > 1 && width > 1 && starts.iter().enumerate().all(|(i, at)| *at == i * width) {
        return tokens.chunks(width).map(|part| part.join("_")).collect();
    }
    let mut found = Vec::new();
    let mut unknown: Vec<&str> = Vec::new();
    let mut any = false;
    let mut at = 0;
    while at < tokens.len() {
        let longest = (at + 1..=tokens.len()).rev().find(|end| is_in(&tokens[at..*end], known));
        match longest {
            Some(end) => {
                any = true;
                found.extend((!unknown.is_empty()).then(|| unknown.join("_")));
                unknown.clear();
                found.push(tokens[at..end].join("_"));
                at = end;
            }
            None => {
                unknown.push(tokens[at]);
                at += 1;
            }
        }
    }
    found.extend((!unknown.is_empty()).then(|| unknown.join("_")));
    if any { found } else { vec![stem.to_owned()] }
}

/// A name for a private CA by its ARN: `pca-` and the beginning of its UUID.
pub fn arn_authority(arn: &str) -> String {
    let id = arn.rsplit(['/', ':']).next().unwrap_or_default();
    let short = id.split('-').next().unwrap_or_default();
    authority(&format!("pca-{short}")).to_string()
}

/// The nearest text that may be an authority's name.
pub fn authority(text: &str) -> AuthorityName {
    let name: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '-' })
        .skip_while(|c| !c.is_ascii_alphanumeric())
        .take(150)
        .collect();
    // Only an empty name is left to refuse.
    AuthorityName::parse(&name).unwrap_or_else(|_| authority("ca"))
}

/// The nearest text that may be a trust domain.
pub fn trust_domain(text: &str) -> Option<TrustDomain> {
    let name: String = text
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '-' })
        .take(255)
        .collect();
    TrustDomain::parse(&name).ok()
}

fn cover(tokens: &[&str], known: &[String]) -> Option<Vec<String>> {
    // best[i]: the authorities that make up the first i tokens.
    let mut best: Vec<Option<Vec<String>>> = vec![None; tokens.len() + 1];
    best[0] = Some(Vec::new());
    for end in 1..=tokens.len() {
        for start in 0..end {
            if best[end].is_none() && is_in(&tokens[start..end], known) {
                best[end] = best[start].clone().map(|mut parts| {
                    parts.push(tokens[start..end].join("_"));
                    parts
                });
            }
        }
    }
    best.pop().flatten()
}

fn is_in(tokens: &[&str], known: &[String]) -> bool {
    let name = tokens.join("_");
    known.contains(&name)
}

/// A file's name without the directories and the extension.
fn stem(path: &str) -> &str {
    let name = file_name(path);
    let stem = strip_any(name, &[".pem", ".crt", ".cer", ".cert", ".pub"]).unwrap_or(name);
    if stem.is_empty() { name } else { stem }
}

fn file_name(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
}

fn strip_any<'a>(text: &'a str, suffixes: &[&str]) -> Option<&'a str> {
    suffixes.iter().find_map(|suffix| text.strip_suffix(suffix)).filter(|rest| !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_files_name_their_authorities() {
        for (path, one) in [
            ("/certs/ca_1_cert.pem", "ca_1"),
            ("/etc/keys/yelb/ca.crt", "ca"),
            ("root-cert.pem", "root"),
            ("/a/rootCA", "rootCA"),
            ("/keys/ca_1_cert_chain.pem", "ca_1"),
            ("/keys/_cert.pem", "_cert"),
        ] {
            assert_eq!(TrustFile::of(path), TrustFile::One(one.to_owned()), "{path}");
        }
        let bundle = TrustFile::of("/certs/ca_1_ca_2_bundle.pem");
        assert_eq!(bundle, TrustFile::Bundle("ca_1_ca_2".to_owned()));
    }

    #[test]
    fn a_bundle_is_taken_apart_where_its_parts_can_be_told() {
        for (stem, known, parts) in [
            ("ca_1_ca_2", &["ca_1", "ca_2"][..], &["ca_1", "ca_2"][..]),
            ("ca_1_ca_2", &["ca_1"], &["ca_1", "ca_2"]),
            ("ca_1_ca_2", &[], &["ca_1", "ca_2"]),
            ("ca_1_ca_2_ca_3", &[], &["ca_1", "ca_2", "ca_3"]),
            ("old_new", &["old", "new"], &["old", "new"]),
            ("old_new", &["old"], &["old", "new"]),
            ("old_root_new", &["new"], &["old_root", "new"]),
            ("a_b", &["a", "a_b", "b"], &["a_b"]),
            ("everyone", &["ca"], &["everyone"]),
            ("old_new", &[], &["old_new"]),
        ] {
            let known: Vec<String> = known.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(bundled(stem, &known), parts, "{stem} of {known:?}");
        }
    }

    #[test]
    fn only_the_layout_that_is_written_gives_a_base() {
        for (chain, key, base) in [
            (
                "/certs/colorapp-blue_cert_chain.pem",
                "/certs/colorapp-blue_key.pem",
                Some("colorapp-blue"),
            ),
            ("/certs/b_cert.pem", "/elsewhere/b_key.pem", Some("b")),
            ("/certs/a_cert_chain.pem", "/certs/b_key.pem", None),
            ("/certs/tls.crt", "/certs/tls.key", None),
            ("/certs/.._cert.pem", "/certs/.._key.pem", None),
            ("", "", None),
        ] {
            let expected = base.map(|base| NodeName::parse(base).unwrap());
            assert_eq!(file_base(chain, key), expected, "{chain}");
        }
    }

    #[test]
    fn any_text_becomes_a_name() {
        assert_eq!(authority("a b/c").as_str(), "a-b-c");
        assert_eq!(authority("..").as_str(), "ca");
        assert_eq!(authority(&"x".repeat(999)).as_str().len(), 150);
        let arn = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/0a1b2c3d-4e5f-6071";
        assert_eq!(arn_authority(arn), "pca-0a1b2c3d");
        assert_eq!(trust_domain("My Mesh").unwrap().as_str(), "my-mesh");
        assert_eq!(trust_domain(""), None);
    }

    #[test]
    fn secrets_are_domains_workloads_or_neither() {
        assert!(matches!(SdsName::of("spiffe://a.b/c"), SdsName::Id(_)));
        assert!(matches!(SdsName::of("spiffe://a.b"), SdsName::Domain(_)));
        assert!(matches!(SdsName::of("ROOTCA"), SdsName::Other(_)));
        assert!(matches!(SdsName::of("spiffe://"), SdsName::Other(_)));
    }
}
