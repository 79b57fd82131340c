//! The programs that tests run: where they are, installed by `make tools` and never skipped when
//! absent, and how their arguments are written.

use std::path::{Path, PathBuf};

/// Envoy, from PyPI.
pub fn envoy() -> PathBuf {
    installed("envoy")
}

/// The oldest Envoy that its makers still mend.
pub fn older_envoy() -> PathBuf {
    installed("older-envoy")
}

/// The Python that pkilint is installed in.
pub fn tool_python() -> PathBuf {
    installed("python/bin/python")
}

/// Where Python finds moto.
pub fn moto() -> PathBuf {
    installed("moto")
}

/// A program of the system, such as `openssl`, by its name.
pub fn system(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| panic!("{name} is not in PATH: run `make tools`"))
}

/// Arguments, written as one text: separated by spaces; `'…'` holds spaces together.
pub fn split(arguments: &str) -> Vec<String> {
    let parts = arguments.split('\'').enumerate();
    parts
        .flat_map(|(place, part)| -> Vec<String> {
            let quoted = place % 2 == 1;
            if quoted {
                vec![part.to_owned()]
            } else {
                part.split_whitespace().map(str::to_owned).collect()
            }
        })
        .collect()
}

fn installed(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools").join(name);
    assert!(path.exists(), "{} is missing: run `make tools`", path.display());
    path
}
