//! A directory with a mesh whose authority is at the fake, in which the real certctl runs.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use certctl::files::{Directory, DirectoryOptions, Layout};
use certctl::identity::NodeName;
use certctl::store::{Entry, NodeStore};
use certctl::time::{parse_moment, rfc3339};
use serde_json::Value;

use crate::fake::{Call, Fake, Fault, Spec, Times};
use crate::support::program::{self, Run};
use crate::support::site::{Site, State};

/// What certctl finds of AWS in its environment: credentials, and nobody else to ask for them.
pub const CREDENTIALS: &str = "AWS_ACCESS_KEY_ID=AKIDEXAMPLE\nAWS_SECRET_ACCESS_KEY=secret\n\
    AWS_EC2_METADATA_DISABLED=true\n";

/// What is under way is kept here.
pub const JOURNAL: &str = "nodes.journal";

/// A fake with one authority, `pca` in the mesh.
pub struct World {
    pub fake: Fake,
    /// The ARN of its authority.
    pub ca: String,
    site: Site,
}

impl Deref for World {
    type Target = Site;
    fn deref(&self) -> &Site {
        &self.site
    }
}

impl World {
    /// With a node, `front`.
    pub fn new() -> Self {
        Self::of(Spec::root("pca"), "", "front: { authority: pca }")
    }

    /// With this authority, and more in its `acmPca` and in the mesh's nodes.
    pub fn of(spec: Spec, options: &str, nodes: &str) -> Self {
        let fake = Fake::start();
        let ca = fake.create(spec);
        let authority = acm_pca(&fake, &ca, options);
        let site = Site::with(&mesh(&format!("pca: {{ acmPca: {authority} }}"), nodes));
        site.write(".env", CREDENTIALS);
        Self { fake, ca, site }
    }

    /// The same with a root above its authority, which the mesh does not name.
    pub fn under_a_root() -> Self {
        let world = Self::new();
        let root = world.fake.create(Spec::root("root"));
        let below = world.fake.create(Spec::subordinate("pca", &root));
        world.edit(&world.ca, &below);
        Self { ca: below, ..world }
    }

    /// The environment that certctl runs in.
    pub fn environment(&self) -> Vec<(String, String)> {
        program::environment(&self.path(""))
    }

    /// Misbehaves.
    pub fn with(self, operation: &str, times: Times, fault: Fault) -> Self {
        self.fake.misbehave(operation, times, fault);
        self
    }

    /// How many IssueCertificate, how many GetCertificate, and how many certificates AWS would bill.
    pub fn counts(&self) -> (usize, usize, usize) {
        let calls = |operation| self.fake.calls(operation).len();
        (calls("IssueCertificate"), calls("GetCertificate"), self.fake.issued().len())
    }

    /// Whatever was asked for was asked in the same words.
    #[track_caller]
    pub fn asked_one_thing(&self) {
        let calls = self.fake.calls("IssueCertificate");
        let words = |call: &Call| (call.idempotency_token.clone(), call.csr_sha256.clone());
        assert!(calls.iter().all(|call| words(call) == words(&calls[0])), "{calls:#?}");
    }

    /// What is kept of a node's certificate in the making.
    pub fn pending(&self, node: &str) -> Option<Value> {
        let bytes = self.store().pending(&NodeName::parse(node).unwrap()).unwrap()?;
        Some(serde_json::from_slice(&bytes).expect("JSON"))
    }

    /// Has a node's certificate in the making be asked for so long ago, since no clock but the
    /// fake's can be moved.
    pub fn age(&self, node: &str, by: time::Duration) {
        let mut pending = self.pending(node).expect("one");
        let submission = pending["submission"].as_object_mut().unwrap();
        for moment in ["firstSent", "answered"] {
            if let Some(at) = submission.get_mut(moment) {
                let moment = parse_moment(at.as_str().unwrap()).unwrap();
                *at = rfc3339(moment - by).into();
            }
        }
        let entry = Entry::pending(&NodeName::parse(node).unwrap(), pending.to_string().as_bytes());
        self.store().save(&[entry]).unwrap();
        self.fake.advance(by);
    }

    fn store(&self) -> NodeStore {
        let options = DirectoryOptions::new(Layout::Flat);
        let directory = Directory::open(&self.path("certs"), options, || ()).unwrap();
        NodeStore::new(Arc::new(directory))
    }

    /// A node has the certificate that was issued last, and nothing is left in the making.
    #[track_caller]
    pub fn has_the_last(&self, node: &str) {
        self.verified(node);
        let last = format!("serial={:X}\n", self.fake.issued().last().expect("one").serial);
        assert_eq!(self.serial(node), last);
        assert_eq!(self.pending(node), None, "it is kept still");
    }

    /// openssl takes a node's chain for what its callers trust, and its key for the chain's.
    #[track_caller]
    pub fn verified(&self, node: &str) {
        self.run(&format!(
            "verify -x509_strict -CAfile certs/{node}_trust.pem -untrusted \
             certs/{node}_cert_chain.pem certs/{node}_cert.pem"
        ));
        let public = self.run(&format!("x509 -in certs/{node}_cert.pem -noout -pubkey"));
        let of_key = self.run(&format!("pkey -in certs/{node}_key.pem -pubout"));
        assert_eq!(public, of_key, "the key of {node}");
    }

    /// All files but the journal of what is under way.
    pub fn files(&self) -> BTreeMap<PathBuf, State> {
        let mut files = self.everything("certs");
        files.remove(Path::new(JOURNAL));
        // Its entries come and go.
        files.remove(Path::new(""));
        files
    }

    /// A run makes everything.
    #[track_caller]
    pub fn recovers(&self) -> Run {
        self.fake.behave();
        self.issue("").done()
    }
}

/// The value of `acmPca` for an authority of a fake, with more in it.
pub fn acm_pca(fake: &Fake, arn: &str, options: &str) -> String {
    let comma = if options.is_empty() { "" } else { ", " };
    format!("{{ arn: {arn:?}, endpoint: {:?}{comma}{options} }}", fake.endpoint())
}

/// A mesh with these authorities and nodes, in YAML's flow style, whose nodes have DNS names.
pub fn mesh(authorities: &str, nodes: &str) -> String {
    format!(
        "version: 1\ntrustDomain: example.org\ndnsSuffix: example.org\n\
         authorities: {{ {authorities} }}\nvirtualNodes: {{ {nodes} }}\n"
    )
}

/// Does the same with each, side by side: most of it is waiting.
pub fn each<T: Send>(all: impl IntoIterator<Item = T>, test: impl Fn(T) + Sync) {
    thread::scope(|scope| {
        for one in all {
            scope.spawn(|| test(one));
        }
    });
}
