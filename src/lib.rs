//! certctl: a certificate authority for meshes of Envoy proxies.
//!
//! The rooms, in the order in which data moves through them:
//!
//! - [`identity`]: names that cannot be built wrong.
//! - [`time`]: the clock, lifetimes, when a certificate is due.
//! - [`x509`]: keys and certificates.
//! - [`desired`]: who should exist, from every source.
//! - [`authority`]: who signs.
//! - [`acm_pca`]: AWS Private CA, and what is asked of it.
//! - [`signing`]: from a public key to a chain that may be published.
//! - [`provisioning`]: a new key and its certificate.
//! - [`rotation`]: when a credential is kept and when it is made anew.
//! - [`files`]: whole files, or none, in a directory.
//! - [`store`]: what survives in a directory between runs.
//! - [`hierarchy`]: the authorities of a mesh as they stand.
//! - [`issue`]: one turn of it all, into a directory.
//! - [`snapshot`]: the published state, watched by who serves it.
//! - [`boards`]: who waits, and who has what.
//! - [`attest`]: who is calling, and what of the snapshot is theirs.
//! - [`listening`]: the sockets on which callers come in.
//! - [`sds`]: serves the snapshot to Envoys.
//! - [`file_sink`]: writes the snapshot for Envoys that read files.
//! - [`envoy`]: what a node's Envoy has to be told.
//! - [`engine`]: the loop that keeps all of it fresh.
//! - [`status`]: how things stand, as one document.
//! - [`telemetry`]: log, metrics, health.
//! - [`admin`]: the socket for a running agent's operator.
//! - [`agent`]: all of it put together, from start to end.
//! - [`explain`]: whether two nodes of a mesh accept each other.
//! - [`survey`]: what AWS says of the CAs of a mesh, and whether that fits.
//! - [`endpoint`]: what a live TLS endpoint shows of itself.
//! - [`cli`]: the command line; the only room that may use all the others.
//!
//! From a mesh file to the question whether two of its nodes will accept each other:
//!
//! ```
//! use std::path::Path;
//!
//! use certctl::desired::mesh_file::MeshFile;
//! use certctl::explain::explain;
//! use certctl::identity::NodeName;
//!
//! let text = b"
//! version: 1
//! trustDomain: example.org
//! authorities: { ca_1: {}, ca_2: {} }
//! virtualNodes:
//!   front: { authority: ca_1, trust: [ca_1] }
//!   green: { authority: ca_2, trust: [ca_1], callers: [front] }
//! ";
//! let mesh = MeshFile::read(Path::new("mesh.yaml"), text)?.desired;
//! let node = |name| Ok::<_, Box<dyn std::error::Error>>(&mesh.identities[&NodeName::parse(name)?]);
//! let explanation = explain(&mesh, node("front")?, node("green")?);
//! assert!(!explanation.accepted);
//! assert_eq!(explanation.rules[0].finding, "front trusts ca_1; green is signed by ca_2");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod acm_pca;
pub mod admin;
pub mod agent;
pub mod attest;
pub mod authority;
pub mod boards;
pub mod cli;
pub mod desired;
pub mod endpoint;
pub mod engine;
pub mod envoy;
pub mod explain;
pub mod file_sink;
pub mod files;
pub mod hierarchy;
pub mod identity;
pub mod issue;
pub mod listening;
pub mod provisioning;
pub mod rotation;
pub mod sds;
pub mod signing;
pub mod snapshot;
pub mod status;
pub mod store;
pub mod survey;
pub mod telemetry;
pub mod time;
pub mod x509;
