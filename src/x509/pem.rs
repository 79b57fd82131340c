//! PEM, strictly (RFC 7468): what is broken is said, nothing is skipped.

use pem::{EncodeConfig, LineEnding, Pem};
use rustls_pki_types::CertificateDer;
use thiserror::Error;
use zeroize::Zeroizing;

/// The label of a certificate (RFC 7468 section 5).
pub const CERTIFICATE: &str = "CERTIFICATE";
/// The label of a certificate signing request (RFC 7468 section 7).
pub const REQUEST: &str = "CERTIFICATE REQUEST";
/// The label that some tools still give to a certificate signing request.
pub const OLD_REQUEST: &str = "NEW CERTIFICATE REQUEST";

const BEGIN: &[u8] = b"-----BEGIN ";

/// Why a text is not the PEM that was expected.
#[derive(Debug, Error)]
pub enum PemError {
    /// Armour or base64 is broken. Says nothing of what stands there: it may be a private key.
    #[error("the PEM is broken: {problem}")]
    Broken {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A block whose beginning is there and whose end is not: a file cut short.
    #[error("the PEM has a block that begins and does not end; the file may be cut short")]
    Unfinished,
    /// Not one block.
    #[error("there is no PEM block in it; it should begin with -----BEGIN {expected}-----")]
    Nothing {
        /// The label that was expected.
        expected: &'static str,
    },
    /// A block of another kind.
    #[error("it holds a {found:?} block where only {expected} belongs")]
    Label {
        /// The label found.
        found: String,
        /// The label that was expected.
        expected: &'static str,
    },
}

/// One block: its label, whether it has RFC 1421 encryption headers, and its bytes.
pub struct Block {
    /// The text between `BEGIN` and the dashes.
    pub label: String,
    /// Whether headers say that the bytes are encrypted in OpenSSL's old manner.
    pub legacy_encrypted: bool,
    /// The decoded bytes.
    pub der: Zeroizing<Vec<u8>>,
}

/// All blocks of a text, in order; text outside of them is ignored (RFC 7468 section 2).
///
/// # Errors
/// When a block is broken or does not end.
pub fn blocks(text: &[u8]) -> Result<Vec<Block>, PemError> {
    let blocks = pem::parse_many(text).map_err(|error| broken(&error))?;
    // The parser passes over what it cannot delimit.
    let begun = text.windows(BEGIN.len()).filter(|window| *window == BEGIN).count();
    if begun != blocks.len() {
        return Err(PemError::Unfinished);
    }
    if !blocks.iter().all(|block| is_label(block.tag())) {
        return Err(PemError::Broken { problem: "a block's label is no label" });
    }
    Ok(blocks
        .into_iter()
        .map(|block| Block {
            label: block.tag().to_owned(),
            legacy_encrypted: block.headers().get("DEK-Info").is_some(),
            der: Zeroizing::new(block.into_contents()),
        })
        .collect())
}

fn broken(error: &pem::PemError) -> PemError {
    let problem = match error {
        pem::PemError::InvalidData(_) => "what stands between the dashes is no base64",
        pem::PemError::InvalidHeader(_) => "a blank line or a header stands amid the base64",
        pem::PemError::MismatchedTags(..) => "a block ends with another label than it begins with",
        pem::PemError::NotUtf8(_) => "it is no text",
        _ => "a block is not delimited as RFC 7468 has it",
    };
    PemError::Broken { problem }
}

/// Whether a label is one (RFC 7468 section 3): where dashes are missing, it may be a whole key.
fn is_label(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

/// The certificates of a text that should hold nothing else: at least one, in order.
///
/// # Errors
/// When a block is broken or is no certificate, or there is none.
pub fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let certificates = blocks(text)?
        .into_iter()
        .map(|mut block| {
            if block.label != CERTIFICATE {
                return Err(PemError::Label { found: block.label, expected: CERTIFICATE });
            }
            Ok(CertificateDer::from(std::mem::take(&mut *block.der)))
        })
        .collect::<Result<Vec<_>, _>>()?;
    if certificates.is_empty() {
        return Err(PemError::Nothing { expected: CERTIFICATE });
    }
    Ok(certificates)
}

/// One block as text, in lines of 64 characters that end with a line feed.
pub fn encode(label: &str, der: &[u8]) -> Zeroizing<String> {
    let block = Pem::new(label, der);
    let options = EncodeConfig::new().set_line_ending(LineEnding::LF);
    let text = Zeroizing::new(pem::encode_config(&block, options));
    drop(Zeroizing::new(block.into_contents()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cut_short_anywhere_is_refused() {
        let whole = encode(CERTIFICATE, &[1; 100]);
        let twice = format!("{}{}", *whole, *whole);
        assert_eq!(certificates(twice.as_bytes()).unwrap().len(), 2);
        let in_the_second = whole.len() + BEGIN.len();
        for end in in_the_second..twice.trim_end().len() {
            let error = blocks(&twice.as_bytes()[..end]).err().map(|e| e.to_string());
            assert!(error.is_some_and(|e| e.contains("PEM")), "cut at {end}");
        }
        let dashes = whole.replace("-----BEGIN", "------BEGIN");
        assert!(matches!(blocks(dashes.as_bytes()), Err(PemError::Unfinished)));
    }

    #[test]
    fn no_error_shows_what_stands_in_a_broken_key() {
        let whole = encode("PRIVATE KEY", &[0x5a; 100]);
        let secret = &whole.lines().nth(1).unwrap()[..8];
        for broken in [
            whole.replacen('\n', "\n\n", 2).replacen("Wlpa\n", "Wlpa\n\n", 1),
            whole.replacen("KEY-----\n", "KEY----\n", 1),
            whole.replacen("KEY-----\n", "KEY\n", 1),
            whole.replacen("-----END PRIVATE", "-----END", 1),
            whole.replacen("-----END", "----END", 1),
            whole.replacen("Wlpa", "Wl*a", 1),
        ] {
            let error = blocks(broken.as_bytes()).err().map(|error| format!("{error} {error:?}"));
            let error = error.unwrap_or_else(|| panic!("accepted: {broken}"));
            assert!(!error.contains(secret), "{error}");
        }
    }
}
