//! Where the programs are that tests run: installed by `make tools`, never skipped when absent.

use std::path::{Path, PathBuf};

/// Envoy, from PyPI.
pub fn envoy() -> PathBuf {
    installed("envoy")
}

/// pkilint's linter of RFC 5280 certificates, from PyPI.
pub fn lint_pkix_cert() -> PathBuf {
    installed("bin/lint_pkix_cert")
}

/// The Python that pkilint is installed in.
pub fn tool_python() -> PathBuf {
    installed("python/bin/python")
}

/// A program of the system, such as `openssl`, by its name.
pub fn system(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| panic!("{name} is not in PATH: run `make tools`"))
}

fn installed(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools").join(name);
    assert!(path.exists(), "{} is missing: run `make tools`", path.display());
    path
}
