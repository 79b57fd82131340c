//! pkilint's `lint_pkix_cert`: whether certificates say what RFC 5280 asks for.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::support::tools;

/// What pkilint has to say against one certificate.
#[derive(Debug, Deserialize, PartialEq, Eq)]
pub struct Finding {
    /// The name of the certificate's file.
    pub file: String,
    /// `WARNING`, `ERROR` or `FATAL`.
    pub severity: String,
    /// Such as `pkix.ca_certificate_no_ku_extension`.
    pub code: String,
    /// In words, where the code does not say it all.
    pub message: Option<String>,
}

/// pkilint's verdict on a directory of certificates.
#[derive(Debug, Deserialize, PartialEq, Eq)]
pub struct Verdict {
    /// How many certificates there were.
    pub files: usize,
    /// Everything of severity WARNING or worse.
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// Takes out the findings that a `spiffe` URI is no URI, and returns how many there were.
    /// RFC 3986 leaves schemes open, but pkilint 0.13.3 accepts nine of them (those of the
    /// `validators` package), so that it says this of every X.509-SVID.
    pub fn excuse_spiffe_scheme(&mut self, id: &str) -> usize {
        let message = format!("Invalid URI syntax: \"{id}\"");
        let before = self.findings.len();
        self.findings.retain(|finding| {
            finding.code != "pkix.invalid_uri_syntax" || finding.message.as_ref() != Some(&message)
        });
        before - self.findings.len()
    }
}

/// Lints every file of a directory whose name ends in `.pem`, each one certificate.
pub fn lint(directory: &Path) -> Verdict {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/lint_directory.py");
    let output = Command::new(tools::tool_python())
        .arg(script)
        .arg(directory)
        .output()
        .expect("python starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "lint_directory.py: {}\n{stderr}", output.status);
    serde_json::from_slice(&output.stdout).expect("the JSON of lint_directory.py")
}
