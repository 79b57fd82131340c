//! What names are refused, and that what parses prints back.

use proptest::prelude::*;

use super::*;

#[test]
fn a_spiffe_id_is_its_domain_and_its_path() {
    let id = SpiffeId::parse("spiffe://example.org/ns/default/front").unwrap();
    assert_eq!(id.trust_domain().as_str(), "example.org");
    assert_eq!(id.path(), "/ns/default/front");
    assert_eq!(id.to_string(), "spiffe://example.org/ns/default/front");
}

#[test]
fn spiffe_ids_that_the_standard_forbids_are_refused_with_a_reason() {
    for (text, reason) in [
        ("", "is empty"),
        ("https://example.org/a", "does not begin with spiffe://"),
        ("SPIFFE://example.org/a", "does not begin with spiffe://"),
        ("spiffe://example.org", "has no path"),
        ("spiffe://example.org/", "an empty segment"),
        ("spiffe://example.org//a", "an empty segment"),
        ("spiffe://example.org/a/", "an empty segment"),
        ("spiffe://example.org/a/../b", "'.' or '..'"),
        ("spiffe://example.org/./b", "'.' or '..'"),
        ("spiffe://example.org/%61", "has '%'"),
        ("spiffe://example.org/a?b=c", "has '?'"),
        ("spiffe://example.org/a#b", "has '#'"),
        ("spiffe://Example.org/a", "has 'E'"),
        ("spiffe://example.org:443/a", "has ':'"),
        ("spiffe://user@example.org/a", "has '@'"),
        ("spiffe:///a", "trust domain is empty"),
        ("spiffe://example.org/é", "has 'é'"),
        ("spiffe://example.org/a\0", "has '\\0'"),
    ] {
        let error = SpiffeId::parse(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{text:?}: {error}");
    }
    let long = format!("spiffe://example.org/{}", "a".repeat(2048));
    assert!(SpiffeId::parse(&long).unwrap_err().to_string().contains("at most 2048"));
    let domain = "a".repeat(256);
    assert!(TrustDomain::parse(&domain).unwrap_err().to_string().contains("at most 255"));
    assert!(
        TrustDomain::parse("spiffe://example.org").unwrap_err().to_string().contains("name alone")
    );
}

#[test]
fn dns_names_that_no_certificate_should_carry_are_refused_with_a_reason() {
    for (text, reason) in [
        ("", "is empty"),
        ("*.example.org", "is a wildcard"),
        ("example.org.", "ends with a dot"),
        ("a..b", "an empty label"),
        (".a", "an empty label"),
        ("-a.b", "a hyphen at its edge"),
        ("a-.b", "a hyphen at its edge"),
        ("a_b.c", "has '_'"),
        ("a b", "has ' '"),
        ("a\nb", "has '\\n'"),
        ("a\0.example.org", "has '\\0'"),
        ("bücher.example", "has 'ü'"),
        ("10.0.0.1", "as an IP address"),
        ("::1", "has ':'"),
    ] {
        let error = DnsName::parse(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{text:?}: {error}");
    }
    let label = format!("{}.example", "a".repeat(64));
    assert!(DnsName::parse(&label).unwrap_err().to_string().contains("63 bytes"));
    let long = ["abcdefgh"; 30].join(".");
    assert!(DnsName::parse(&long).unwrap_err().to_string().contains("at most 253"));
    assert_eq!(DnsName::parse("Color-Blue.Example").unwrap().as_str(), "color-blue.example");
}

#[test]
fn names_that_cannot_be_file_names_are_refused_with_a_reason() {
    for (text, reason) in [
        ("", "is empty"),
        ("../x", "has '/'"),
        ("a/b", "has '/'"),
        ("..", "does not begin with a letter"),
        (".hidden", "does not begin with a letter"),
        ("-rf", "does not begin with a letter"),
        ("a\0b", "has '\\0'"),
        ("a b", "has ' '"),
        ("naïve", "has 'ï'"),
    ] {
        let error = NodeName::parse(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{text:?}: {error}");
        assert!(AuthorityName::parse(text).is_err());
    }
    let long = "a".repeat(300);
    assert!(NodeName::parse(&long).unwrap_err().to_string().contains("at most 200"));
}

proptest! {
    #[test]
    fn whatever_parses_prints_back_and_parses_again(text in "\\PC{0,40}") {
        if let Ok(name) = NodeName::parse(&text) {
            prop_assert_eq!(name.as_str(), &text);
            prop_assert!(!text.contains('/') && !text.starts_with('.'));
        }
        if let Ok(name) = DnsName::parse(&text) {
            prop_assert_eq!(&DnsName::parse(name.as_str()).unwrap(), &name);
        }
    }

    #[test]
    fn a_spiffe_id_is_rebuilt_from_its_parts(
        domain in "[a-z0-9._-]{1,20}",
        path in "(/[a-zA-Z0-9_-]{1,8}){1,4}",
    ) {
        let id = SpiffeId::parse(&format!("spiffe://{domain}{path}")).unwrap();
        prop_assert_eq!(id.trust_domain().id(id.path()).unwrap(), id);
    }
}
