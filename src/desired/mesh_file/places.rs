//! Where a mesh file says what only others can judge, such as AWS.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::{Scope, read_document, the_only_one};
use crate::desired::acm_pca::CaArn;
use crate::desired::document::{decode, parse_documents};
use crate::desired::problem::Problems;
use crate::identity::{AuthorityName, NodeName};

/// Places in a mesh file, as byte offsets. What is not in it is at its beginning.
#[derive(Clone, Debug, Default)]
pub struct Places {
    cas: HashMap<CaArn, Range<usize>>,
    authorities: HashMap<AuthorityName, Range<usize>>,
    lifetimes: HashMap<NodeName, Range<usize>>,
    authority_lifetimes: HashMap<AuthorityName, Range<usize>>,
    files: HashMap<PathBuf, Range<usize>>,
}

impl Places {
    /// The places in the mesh file `contents`, which was read before and found to be whole. `path`
    /// is where it came from.
    pub fn of(path: &Path, contents: &[u8]) -> Self {
        let directory = path.parent().unwrap_or(Path::new(""));
        decode(contents).ok().and_then(|text| Self::in_text(text, directory)).unwrap_or_default()
    }

    fn in_text(text: &str, directory: &Path) -> Option<Self> {
        let problems = Problems::new();
        let documents = parse_documents(text, &problems)?;
        let scope = Scope { directory, problems: &problems, files: Default::default() };
        let written = read_document(the_only_one(&documents, &problems)?, &scope)?;
        let mut places = Self::default();
        for authority in &written.authorities {
            let name = &authority.name;
            places.authorities.insert(name.value.clone(), name.span.clone());
            places.authority_lifetimes.insert(name.value.clone(), authority.lifetime_place());
            let cas = authority.cas().iter();
            places.cas.extend(cas.map(|ca| (ca.value.arn.clone(), ca.span.clone())));
        }
        let by_default = written.defaults.lifetime.as_ref();
        for node in &written.nodes {
            let said = node.settings.lifetime.as_ref().or(by_default);
            let place = said.map_or(&node.name.span, |lifetime| &lifetime.span);
            places.lifetimes.insert(node.name.value.clone(), place.clone());
        }
        let files = scope.files.into_inner().into_iter();
        places.files = files.map(|file| (file.path, file.span)).collect();
        Some(places)
    }

    /// The ARN of a CA of AWS Private CA.
    pub fn ca(&self, arn: &CaArn) -> Range<usize> {
        found(&self.cas, arn)
    }

    /// The name of an authority.
    pub fn authority(&self, name: &AuthorityName) -> Range<usize> {
        found(&self.authorities, name)
    }

    /// The lifetime of a local authority, or else its name.
    pub fn authority_lifetime(&self, name: &AuthorityName) -> Range<usize> {
        found(&self.authority_lifetimes, name)
    }

    /// The lifetime of a node, its own or by default, or else its name.
    pub fn lifetime(&self, node: &NodeName) -> Range<usize> {
        found(&self.lifetimes, node)
    }

    /// The name of a file.
    pub fn file(&self, path: &Path) -> Range<usize> {
        self.files.get(path).cloned().unwrap_or_default()
    }
}

fn found<K: std::hash::Hash + Eq>(places: &HashMap<K, Range<usize>>, key: &K) -> Range<usize> {
    places.get(key).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_the_one_that_says_it() {
        let text = "version: 1\ntrustDomain: d\ndefaults: {lifetime: 48h}\nauthorities:\n  \
                    a: {acmPca: {arn: \"arn:aws:acm-pca:us-east-2:111122223333:\
                    certificate-authority/1\", certificates: a.pem}}\n  b: {local: {parent: a, \
                    lifetime: 30d}}\n  c: {local: {parent: a}}\nvirtualNodes:\n  n: {authority: a, \
                    lifetime: 9d}\n  m: {authority: b}\n";
        let places = Places::of(Path::new("x/mesh.yaml"), text.as_bytes());
        let said = |place: Range<usize>| &text[place];
        let node = |name| NodeName::parse(name).unwrap();
        let authority = |name| AuthorityName::parse(name).unwrap();
        let arn = "arn:aws:acm-pca:us-east-2:111122223333:certificate-authority/1";
        assert!(said(places.ca(&CaArn::parse(arn).unwrap())).contains(arn));
        assert_eq!(said(places.lifetime(&node("n"))), "9d");
        assert_eq!(said(places.lifetime(&node("m"))), "48h");
        assert_eq!(said(places.authority(&authority("b"))), "b");
        assert_eq!(said(places.authority_lifetime(&authority("b"))), "30d");
        assert_eq!(said(places.authority_lifetime(&authority("c"))), "c");
        assert_eq!(said(places.file(Path::new("x/a.pem"))), "a.pem");
        assert_eq!(places.lifetime(&node("z")), 0..0);
        let plain = text.replace("defaults: {lifetime: 48h}\n", "");
        let places = Places::of(Path::new("mesh.yaml"), plain.as_bytes());
        assert_eq!(&plain[places.lifetime(&node("m"))], "m");
    }
}
