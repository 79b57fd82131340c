//! The node that the tests' requests are for, and the verdict on them.

use std::time::Duration;

use certctl::identity::{DnsName, NodeName, SpiffeId};
use certctl::time::Lifetime;
use certctl::x509::profile::LeafProfile;
use certctl::x509::request::{Request, RequestError};

/// Its SPIFFE ID.
pub const ID: &[u8] = b"spiffe://example.org/front";

fn profile() -> LeafProfile {
    LeafProfile {
        spiffe_id: SpiffeId::parse("spiffe://example.org/front").unwrap(),
        dns_names: ["front.example.org", "front.local"]
            .map(|name| DnsName::parse(name).unwrap())
            .to_vec(),
        lifetime: Lifetime::hours(24),
        clock_skew: Duration::from_secs(60),
    }
}

/// Parses a request and holds it to what `front` may have.
pub fn judge(bytes: &[u8]) -> Result<Request, RequestError> {
    let request = Request::parse(bytes)?;
    request.check_against(&profile(), &NodeName::parse("front").unwrap())?;
    Ok(request)
}
