//! Authorities of AWS Private CA in a mesh file.

use std::net::IpAddr;
use std::ops::Range;

use super::Scope;
use super::values::file;
use crate::desired::acm_pca::{CaArn, LeafTemplate, PrivateCa, Rates};
use crate::desired::document::{Node, Spanned, Value};
use crate::desired::problem::{Problem, Problems};
use crate::desired::reader::MappingReader;

/// The most requests in a second that can be asked for: far beyond what AWS grants anybody.
const MAX_RATE: u32 = 10_000;

/// The CAs of one authority, in order of preference, each with the place of its ARN. None that
/// could be read where all are wrong.
pub type WrittenCas = Vec<Spanned<PrivateCa>>;

/// Reads `acmPca`: one CA, or a list of them.
pub fn read(node: &Node, scope: &Scope<'_>) -> WrittenCas {
    let nodes = match &node.value {
        Value::Sequence(nodes) => nodes.as_slice(),
        _ => std::slice::from_ref(node),
    };
    if nodes.is_empty() {
        scope.problems.push(
            Problem::error(node.span.clone(), "`acmPca` lists no CA")
                .help("write `acmPca: {arn: …}`, or remove it"),
        );
    }
    let mut cas: WrittenCas = Vec::new();
    for ca in nodes.iter().filter_map(|node| read_one(node, scope)) {
        match cas.iter().find(|other| other.value.arn == ca.value.arn) {
            Some(other) => scope.problems.push(
                Problem::error(ca.span, "this CA is in the list twice")
                    .related(other.span.clone(), "first here")
                    .help("remove one of the two"),
            ),
            None => cas.push(ca),
        }
    }
    cas
}

fn read_one(node: &Node, scope: &Scope<'_>) -> Option<Spanned<PrivateCa>> {
    let mut reader = MappingReader::new(node, "`acmPca`", scope.problems)?;
    reader.must_have("arn");
    let arn = reader.parsed("arn", CaArn::parse);
    let region = reader.text("region");
    if let (Some(arn), Some(region)) = (&arn, region)
        && arn.value.region() != region.value
    {
        let message = format!("the CA is in {}, as its ARN says", arn.value.region());
        scope.problems.push(
            Problem::error(region.span, message)
                .related(arn.span.clone(), "here")
                .help("remove `region`: the ARN has it"),
        );
    }
    let endpoint = reader.parsed("endpoint", endpoint).map(|endpoint| endpoint.value);
    let certificates = file(&mut reader, "certificates", scope).map(|path| path.value);
    let template = reader.parsed("template", template).map(|template| template.value);
    let rates = reader.mapping("rates", "`rates`").map(rates).unwrap_or_default();
    let most = reader.parsed("maxCertificatesPerHour", number(u32::MAX)).map(|most| most.value);
    let price = reader.parsed("pricePerCertificate", price).map(|price| price.value);
    reader.finish();
    let Spanned { value: arn, span } = arn?;
    let value = PrivateCa {
        arn,
        endpoint,
        certificates,
        template: template.unwrap_or_default(),
        rates,
        max_certificates_per_hour: most,
        price_per_certificate: price,
    };
    Some(Spanned { value, span })
}

fn rates(mut reader: MappingReader<'_>) -> Rates {
    let default = Rates::default();
    let mut rate = |name| reader.parsed(name, number(MAX_RATE)).map(|rate| rate.value);
    let (issue, get) = (rate("issue"), rate("get"));
    reader.finish();
    Rates { issue: issue.unwrap_or(default.issue), get: get.unwrap_or(default.get) }
}

/// Tells of a CA that two authorities have: what it signs could be either's.
pub fn told_twice<'a>(
    cas: impl Iterator<Item = (&'a str, &'a Spanned<PrivateCa>)>,
    problems: &Problems,
) {
    let mut seen: Vec<(&str, &CaArn, &Range<usize>)> = Vec::new();
    for (authority, ca) in cas {
        let arn = &ca.value.arn;
        match seen.iter().find(|(other, known, _)| *known == arn && *other != authority) {
            Some((other, _, place)) => problems.push(
                Problem::error(ca.span.clone(), format!("this CA is `{other}` already"))
                    .related((*place).clone(), "here")
                    .help(format!("let its nodes have the authority `{other}`")),
            ),
            None => seen.push((authority, arn, &ca.span)),
        }
    }
}

/// `https://`, a host and perhaps a port; no more. `http://` only within this machine: whoever
/// stood between would say which roots the mesh trusts.
fn endpoint(text: &str) -> Result<String, String> {
    let wrong = |problem| {
        Err(format!("{text:?} {problem}; write the service's URL, as https://acm-pca.example.com"))
    };
    let (host, is_secret) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(host), _) => (host, true),
        (None, Some(host)) => (host, false),
        (None, None) => return wrong("does not begin with https:// or http://"),
    };
    let host = host.strip_suffix('/').unwrap_or(host);
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    if host.is_empty() || !host.chars().all(fits) {
        return wrong("is not a host, with or without a port");
    }
    if !is_secret && !is_loopback(host) {
        return wrong(
            "is not encrypted, so whoever is on the way could have the mesh trust any root; \
             http:// is for 127.0.0.1, [::1] and localhost alone",
        );
    }
    Ok(text.to_owned())
}

/// Whether a host, with or without a port, is this machine.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// The name of a template, as AWS has it.
fn template(text: &str) -> Result<LeafTemplate, String> {
    LeafTemplate::ALL.into_iter().find(|template| template.as_str() == text).ok_or_else(|| {
        let known = LeafTemplate::ALL.map(LeafTemplate::as_str).join(", ");
        format!("{text:?} is no template that leaves are made from; there are {known}")
    })
}

/// A whole number from 1 to `most`.
fn number(most: u32) -> impl Fn(&str) -> Result<u32, String> {
    move |text| match text.parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        _ => Err(format!("{text:?} is not a whole number from 1 to {most}")),
    }
}

/// A decimal number with at most six decimals, in millionths.
fn price(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no price; write a number with a point, as 0.058");
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 9 || decimals.len() > 6 {
        return Err(wrong());
    }
    if !is_number(whole) || !is_number(decimals) || (text.contains('.') && decimals.is_empty()) {
        return Err(wrong());
    }
    format!("{whole}{decimals:0<6}").parse().map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_read_in_millionths() {
        for (text, millionths) in
            [("0.75", 750_000), ("0.058", 58_000), ("1", 1_000_000), ("0.000001", 1), ("0", 0)]
        {
            assert_eq!(price(text), Ok(millionths), "{text}");
        }
        for text in ["", ".5", "1.", "-1", "1,5", "0.0000001", "1e3", "$1", "9999999999"] {
            assert!(price(text).unwrap_err().contains("is no price"), "{text}");
        }
    }

    #[test]
    fn an_endpoint_is_a_url_of_a_host() {
        for text in [
            "http://127.0.0.1:4566",
            "http://localhost:4566/",
            "http://[::1]:80",
            "https://acm-pca.us-east-2.amazonaws.com/",
        ] {
            assert_eq!(endpoint(text).as_deref(), Ok(text));
        }
        for text in [
            "http://acm-pca.us-east-2.amazonaws.com",
            "http://10.0.0.1:4566",
            "http://[2001:db8::1]",
            "http://127.0.0.1.example.com",
        ] {
            assert!(endpoint(text).unwrap_err().contains("is not encrypted"), "{text}");
        }
        for text in [
            "",
            "localhost:4566",
            "ftp://x",
            "https://",
            "https://a/b",
            "http://u:p@x",
            "http://a b",
        ] {
            assert!(endpoint(text).unwrap_err().contains("write the service's URL"), "{text}");
        }
    }
}
