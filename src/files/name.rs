//! A file's name: one path component that cannot leave its directory.

use std::ffi::OsStr;
use std::fmt;
use std::path::Path;

use super::FilesError;

/// One path component: 1 to 255 bytes, no `/`, no control character, not `.`, and not beginning
/// with `..`, which this module keeps for itself.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FileName(String);

impl FileName {
    /// Parses a name.
    ///
    /// # Errors
    /// [`FilesError::Name`] says which rule the name breaks.
    pub fn parse(name: impl Into<String>) -> Result<Self, FilesError> {
        let name = name.into();
        match broken_rule(&name) {
            None => Ok(Self(name)),
            Some(rule) => Err(FilesError::Name { name: shown(&name), rule }),
        }
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn broken_rule(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("it is empty")
    } else if name.starts_with("..") {
        Some("names beginning with `..` are reserved")
    } else if name == "." {
        Some("it names the directory itself")
    } else if name.contains('/') {
        Some("it contains `/`")
    } else if name.chars().any(char::is_control) {
        Some("it contains a control character")
    } else if name.len() > 255 {
        Some("it is longer than 255 bytes")
    } else {
        None
    }
}

/// The name escaped and cut, so that it can break neither a log line nor a terminal.
fn shown(name: &str) -> String {
    const SHOWN: usize = 64;
    let mut shown: String = name.chars().take(SHOWN).flat_map(char::escape_default).collect();
    if name.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

impl AsRef<OsStr> for FileName {
    fn as_ref(&self) -> &OsStr {
        self.0.as_ref()
    }
}

impl AsRef<Path> for FileName {
    fn as_ref(&self) -> &Path {
        self.0.as_ref()
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_leave_the_directory_or_clash_with_ours_are_refused() {
        let long = "n".repeat(256);
        for (name, rule) in [
            ("", "is empty"),
            (".", "the directory itself"),
            ("..", "reserved"),
            ("..data", "reserved"),
            ("../x", "reserved"),
            ("a/b", "contains `/`"),
            ("/etc/passwd", "contains `/`"),
            ("a\0b", "control character"),
            ("a\nb", "control character"),
            ("a\u{7f}b", "control character"),
            (long.as_str(), "longer than 255 bytes"),
        ] {
            let message = FileName::parse(name).unwrap_err().to_string();
            assert!(message.contains(rule), "{name:?}: {message}");
            assert!(!message.chars().any(char::is_control), "{message:?}");
            assert!(message.len() < 200, "{message}");
        }
    }

    #[test]
    fn ordinary_names_are_taken_as_they_are() {
        let long = "n".repeat(255);
        for name in ["front_key.pem", ".hidden", "a..b", "colorapp-blue_cert_chain.pem", &long] {
            assert_eq!(FileName::parse(name).unwrap().as_str(), name);
        }
    }

    proptest! {
        #[test]
        fn whatever_parses_is_one_component(name in "\\PC{0,8}|[./a\\x00]{0,6}") {
            if FileName::parse(name.as_str()).is_ok() {
                let parts: Vec<_> = std::path::Path::new(&name).components().collect();
                prop_assert_eq!(parts, [std::path::Component::Normal(name.as_ref())]);
            }
        }
    }
}
