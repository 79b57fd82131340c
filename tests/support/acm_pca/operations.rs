//! The operations of the service, but for the making of a certificate.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::authority::{Authority, Spec, Status};
use super::certificate::pem;
use super::fault::Lie;
use super::issue::IssueCertificate;
use super::lie;
use super::refusal::Refusal;
use super::state::{ACCOUNT, State};

/// Those that there are.
pub const NAMES: [&str; 6] = [
    "DescribeCertificateAuthority",
    "GetCertificate",
    "GetCertificateAuthorityCertificate",
    "IssueCertificate",
    "ListCertificateAuthorities",
    "RevokeCertificate",
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OfAuthority {
    certificate_authority_arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetCertificate {
    certificate_arn: String,
    certificate_authority_arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RevokeCertificate {
    certificate_authority_arn: String,
    certificate_serial: String,
    revocation_reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListCertificateAuthorities {
    max_results: Option<usize>,
    next_token: Option<String>,
}

/// Does an operation, telling a lie if told to.
pub fn run(
    state: &mut State,
    operation: &str,
    body: &[u8],
    lie: Option<Lie>,
) -> Result<Value, Refusal> {
    match operation {
        "DescribeCertificateAuthority" => {
            let asked: OfAuthority = read(body)?;
            let authority = state.authority(&asked.certificate_authority_arn)?;
            Ok(json!({ "CertificateAuthority": description(authority) }))
        }
        "GetCertificate" => certificate(state, &read(body)?, lie),
        "GetCertificateAuthorityCertificate" => {
            let asked: OfAuthority = read(body)?;
            authority_certificate(state, &asked.certificate_authority_arn, lie)
        }
        "IssueCertificate" => {
            let asked: IssueCertificate = read(body)?;
            let arn = asked.run(state, body, lie)?;
            Ok(json!({ "CertificateArn": arn }))
        }
        "ListCertificateAuthorities" => list(state, &read(body)?),
        "RevokeCertificate" => revoke(state, &read(body)?),
        _ => Err(Refusal::new("UnknownOperationException", operation)),
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::validation(error.to_string()))
}

fn certificate(state: &State, asked: &GetCertificate, lie: Option<Lie>) -> Result<Value, Refusal> {
    let arn = &asked.certificate_arn;
    let authority = state.authority(&asked.certificate_authority_arn)?;
    if !arn.contains("/certificate/") {
        return Err(Refusal::invalid_arn(arn));
    }
    if authority.status == Status::Deleted {
        return Err(Refusal::invalid_state("The certificate authority is deleted"));
    }
    let theirs = state.issued.iter().filter(|issued| issued.authority == authority.arn);
    let theirs: Vec<_> = theirs.collect();
    let place = theirs.iter().position(|issued| issued.arn == *arn);
    let place = place.ok_or_else(|| Refusal::not_found(arn))?;
    if state.clock.now() < theirs[place].ready {
        let message = "Your request is already in progress.";
        return Err(Refusal::new("RequestInProgressException", message));
    }
    let shown = match lie {
        Some(Lie::AnotherCertificate) => theirs[place.saturating_sub(1)],
        _ => theirs[place],
    };
    let mut leaf = pem(&shown.der);
    let mut chain = shown.chain.clone();
    if let Some(lie) = lie {
        lie::shown(lie, &mut leaf, &mut chain, state.clock.now());
    }
    Ok(json!({ "Certificate": leaf.trim_end(), "CertificateChain": joined(&chain) }))
}

fn authority_certificate(state: &State, arn: &str, lie: Option<Lie>) -> Result<Value, Refusal> {
    let authority = state.authority(arn)?;
    if [Status::Creating, Status::PendingCertificate, Status::Failed].contains(&authority.status) {
        return Err(Refusal::invalid_state("The certificate authority has no certificate yet"));
    }
    let mut certificate = pem(&authority.der);
    let mut chain = authority.chain.clone();
    if lie == Some(Lie::AnotherCertificate) {
        let namesake = Spec::root(&authority.spec.name);
        let now = state.clock.now();
        certificate = pem(&Authority::create(String::new(), namesake, None, now).der);
    }
    if let Some(lie) = lie {
        lie::shown(lie, &mut certificate, &mut chain, state.clock.now());
    }
    Ok(json!({ "Certificate": certificate.trim_end(), "CertificateChain": joined(&chain) }))
}

/// PEM blocks, as the service joins them; null where there is none.
fn joined(chain: &[Vec<u8>]) -> Option<String> {
    let blocks: String = chain.iter().map(|der| pem(der)).collect();
    (!chain.is_empty()).then(|| blocks.trim_end().to_owned())
}

fn description(authority: &Authority) -> Value {
    let spec = &authority.spec;
    let has_certificate =
        ![Status::Creating, Status::PendingCertificate, Status::Failed].contains(&authority.status);
    let mut described = json!({
        "Arn": authority.arn,
        "OwnerAccount": ACCOUNT,
        "CreatedAt": authority.created_at.unix_timestamp(),
        "LastStateChangeAt": authority.created_at.unix_timestamp(),
        "Type": if spec.parent.is_none() { "ROOT" } else { "SUBORDINATE" },
        "Status": authority.status,
        "CertificateAuthorityConfiguration": {
            "KeyAlgorithm": spec.key_algorithm.name(),
            "SigningAlgorithm": spec.key_algorithm.signing_algorithm(),
            "Subject": { "CommonName": spec.name },
        },
        "RevocationConfiguration": { "CrlConfiguration": { "Enabled": false } },
        "KeyStorageSecurityStandard": "FIPS_140_2_LEVEL_3_OR_HIGHER",
        "UsageMode": spec.usage_mode,
    });
    if has_certificate {
        let certificate = &authority.certificate;
        described["Serial"] = json!(certificate.serial.to_string());
        described["NotBefore"] = json!(certificate.not_before.unix_timestamp());
        described["NotAfter"] = json!(certificate.not_after.unix_timestamp());
    }
    described
}

/// Pages of at most 100; the token is the ARN to go on from.
fn list(state: &State, asked: &ListCertificateAuthorities) -> Result<Value, Refusal> {
    let from = asked.next_token.as_deref().unwrap_or_default();
    if !from.is_empty() && !state.authorities.contains_key(from) {
        return Err(Refusal::new("InvalidNextTokenException", "The token is not valid."));
    }
    let mut rest = state.authorities.range(from.to_owned()..).map(|(_, authority)| authority);
    let page = asked.max_results.unwrap_or(100).clamp(1, 100);
    let page: Vec<_> = rest.by_ref().take(page).map(description).collect();
    let next = rest.next().map(|authority| &authority.arn);
    Ok(json!({ "CertificateAuthorities": page, "NextToken": next }))
}

fn revoke(state: &mut State, asked: &RevokeCertificate) -> Result<Value, Refusal> {
    let authority = state.authority(&asked.certificate_authority_arn)?;
    if authority.status != Status::Active {
        return Err(Refusal::invalid_state("The certificate authority is not active"));
    }
    let arn = authority.arn.clone();
    let serial = asked.certificate_serial.replace(':', "");
    let serial = u128::from_str_radix(&serial, 16)
        .map_err(|_| Refusal::validation("The certificate serial is not hexadecimal."))?;
    let mut issued = state.issued.iter_mut();
    let issued = issued.find(|issued| issued.authority == arn && issued.serial == serial);
    let issued = issued.ok_or_else(|| Refusal::not_found(&asked.certificate_serial))?;
    if issued.revoked.is_some() {
        let message = "Your request has already been completed.";
        return Err(Refusal::new("RequestAlreadyProcessedException", message));
    }
    issued.revoked = Some(asked.revocation_reason.clone());
    Ok(json!({}))
}
