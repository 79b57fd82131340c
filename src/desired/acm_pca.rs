//! AWS Private CA as a mesh names it.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

/// CAs of AWS Private CA that stand in for each other: what one of them signs is as good as what
/// another signs.
#[derive(Clone, Debug, PartialEq)]
pub struct AcmPcaAuthority {
    /// In order of preference; at least one.
    pub cas: Vec<PrivateCa>,
}

/// One CA of AWS Private CA.
#[derive(Clone, Debug, PartialEq)]
pub struct PrivateCa {
    /// Which one. Its region is the one whose service is asked.
    pub arn: CaArn,
    /// The URL of that service, where it is not the region's own.
    pub endpoint: Option<String>,
    /// PEM: the CA's certificate, then those above it up to the root. What is trusted until the
    /// service has said it.
    pub certificates: Option<PathBuf>,
    /// What leaves are made from.
    pub template: LeafTemplate,
    /// How many requests it is sent in a second, at most.
    pub rates: Rates,
    /// How many certificates it is asked for in an hour with one state directory, at most.
    pub max_certificates_per_hour: Option<u32>,
    /// What one of its certificates costs, as the user wrote it, in millionths of a currency unit.
    pub price_per_certificate: Option<u64>,
}

/// Requests in a second. The defaults are AWS's quotas for an account in one region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rates {
    /// Of IssueCertificate.
    pub issue: u32,
    /// Of GetCertificate.
    pub get: u32,
}

impl Default for Rates {
    fn default() -> Self {
        Self { issue: 25, get: 75 }
    }
}

/// The template of AWS Private CA that a leaf is made from: which part of it is ours to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LeafTemplate {
    /// `BlankEndEntityCertificate_CriticalBasicConstraints_APIPassthrough/V1`: names and usages are
    /// in the request to the service, and nothing is taken from the CSR but its key.
    #[default]
    BlankApiPassthrough,
    /// `EndEntityCertificate_APIPassthrough/V1`: the names are in the request, the usages are the
    /// template's.
    ApiPassthrough,
    /// `EndEntityCertificate/V1`: the names are the CSR's, the usages the template's. For accounts
    /// that allow nothing else.
    EndEntity,
}

impl LeafTemplate {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::BlankApiPassthrough, Self::ApiPassthrough, Self::EndEntity];

    /// As AWS and the mesh file name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BlankApiPassthrough => {
                "BlankEndEntityCertificate_CriticalBasicConstraints_APIPassthrough/V1"
            }
            Self::ApiPassthrough => "EndEntityCertificate_APIPassthrough/V1",
            Self::EndEntity => "EndEntityCertificate/V1",
        }
    }
}

/// `arn:PARTITION:acm-pca:REGION:ACCOUNT:certificate-authority/ID`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CaArn(String);

/// Why a text is no ARN of a CA.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "{text:?} is no ARN of a private CA: {problem}; it should be like \
     arn:aws:acm-pca:us-east-2:111122223333:certificate-authority/11223344-1234-1122-2233-112233445566"
)]
pub struct ArnError {
    text: String,
    problem: &'static str,
}

impl CaArn {
    /// The longest (`DescribeCertificateAuthority`, CertificateAuthorityArn).
    pub const MAX_LENGTH: usize = 200;

    /// Reads one.
    ///
    /// # Errors
    /// When it is none of AWS Private CA, or not of a CA.
    pub fn parse(text: &str) -> Result<Self, ArnError> {
        let wrong = |problem| Err(ArnError { text: text.chars().take(240).collect(), problem });
        if text.len() > Self::MAX_LENGTH {
            return wrong("it is too long");
        }
        let parts: Vec<_> = text.split(':').collect();
        let [arn, partition, service, region, account, resource] = parts[..] else {
            return wrong("it has not six parts");
        };
        let is_word = |text: &str| {
            let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
            !text.is_empty() && text.bytes().all(allowed)
        };
        if arn != "arn" || !partition.starts_with("aws") || !is_word(partition) {
            return wrong("it does not begin with `arn:aws`");
        }
        if service != "acm-pca" {
            return wrong("it is of another service than `acm-pca`");
        }
        if !is_word(region) {
            return wrong("it names no region");
        }
        for (prefix, of) in [("cn-", "aws-cn"), ("us-gov-", "aws-us-gov")] {
            if region.starts_with(prefix) != (partition == of) {
                return wrong("its region is in another partition than it says");
            }
        }
        if account.len() != 12 || !account.bytes().all(|c| c.is_ascii_digit()) {
            return wrong("its account is not 12 digits");
        }
        match resource.strip_prefix("certificate-authority/") {
            Some(id) if is_word(id) => {}
            Some(_) => return wrong("it names more, or less, than a CA"),
            None => return wrong("it does not end in `certificate-authority/` and an id"),
        }
        Ok(Self(text.to_owned()))
    }

    /// The whole of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its region.
    pub fn region(&self) -> &str {
        self.part(3)
    }

    /// The number of the account that it is in.
    pub fn account(&self) -> &str {
        self.part(4)
    }

    /// Its partition: `aws`, `aws-cn`, `aws-us-gov`…
    pub fn partition(&self) -> &str {
        self.part(1)
    }

    fn part(&self, place: usize) -> &str {
        self.0.split(':').nth(place).unwrap_or_default()
    }
}

impl fmt::Display for CaArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:acm-pca:us-east-2:111122223333:certificate-authority/1122-33";

    #[test]
    fn an_arn_tells_its_region_and_partition() {
        let arn = CaArn::parse(ARN).unwrap();
        assert_eq!((arn.region(), arn.partition()), ("us-east-2", "aws"));
        assert_eq!(arn.account(), "111122223333");
        assert_eq!(arn.to_string(), ARN);
        let china = CaArn::parse(&ARN.replace("aws", "aws-cn").replace("us-east-2", "cn-north-1"));
        assert_eq!(china.unwrap().partition(), "aws-cn");
    }

    #[test]
    fn what_is_no_arn_of_a_ca_is_refused_with_what_is_wrong() {
        for (text, problem) in [
            ("", "six parts"),
            ("ca_1", "six parts"),
            (&ARN.replace("arn:aws", "urn:aws"), "begin with `arn:aws`"),
            (&ARN.replace("acm-pca", "acm"), "another service"),
            (&ARN.replace("us-east-2", ""), "no region"),
            (&ARN.replace("us-east-2", "us east"), "no region"),
            (&ARN.replace("us-east-2", "cn-north-1"), "another partition"),
            (&ARN.replace("arn:aws", "arn:aws-cn"), "another partition"),
            (&ARN.replace("us-east-2", "us-gov-west-1"), "another partition"),
            (&ARN.replace("111122223333", "1111"), "12 digits"),
            (&ARN.replace("certificate-authority", "certificate"), "does not end in"),
            (&format!("{ARN}/certificate/12"), "more, or less, than a CA"),
            (&format!("{ARN}{}", "0".repeat(200)), "too long"),
        ] {
            let error = CaArn::parse(text).unwrap_err().to_string();
            assert!(error.contains(problem), "{text:?}: {error}");
        }
    }
}
