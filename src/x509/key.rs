//! Key algorithms.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Why a key is not used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum KeyError {
    /// Not an algorithm that we issue for.
    #[error("{text:?} is no key algorithm; use ec-p256, ec-p384, rsa-2048, rsa-3072 or rsa-4096")]
    UnknownAlgorithm {
        /// The text as given.
        text: String,
    },
}

/// The key algorithms that every Envoy accepts in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyAlgorithm {
    /// ECDSA over NIST P-256, signing with SHA-256.
    #[default]
    EcP256,
    /// ECDSA over NIST P-384, signing with SHA-384.
    EcP384,
    /// RSA with a 2048-bit modulus, signing with PKCS#1 v1.5 and SHA-256.
    Rsa2048,
    /// RSA with a 3072-bit modulus, signing with PKCS#1 v1.5 and SHA-256.
    Rsa3072,
    /// RSA with a 4096-bit modulus, signing with PKCS#1 v1.5 and SHA-256.
    Rsa4096,
}

impl KeyAlgorithm {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::EcP256, Self::EcP384, Self::Rsa2048, Self::Rsa3072, Self::Rsa4096];

    /// The name in mesh files and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EcP256 => "ec-p256",
            Self::EcP384 => "ec-p384",
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
        }
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for KeyAlgorithm {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == text)
            .ok_or_else(|| KeyError::UnknownAlgorithm { text: text.to_owned() })
    }
}
