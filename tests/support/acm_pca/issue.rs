//! IssueCertificate: what the service checks, and the certificate that it makes.

use aws_lc_rs::digest::{SHA256, digest};
use serde::Deserialize;
use time::Duration;

use super::authority::{Authority, Status, UsageMode};
use super::certificate::ToBeSigned;
use super::fault::Lie;
use super::passthrough::ApiPassthrough;
use super::refusal::Refusal;
use super::request::Request;
use super::state::{Idempotency, Issued, State};
use super::template::Template;
use super::validity::Validity;
use super::{key, lie, wire};

/// How long an idempotency token counts.
const TOKEN_COUNTS: Duration = Duration::minutes(5);
/// The longest certificate of an authority in short-lived mode.
const SHORT_LIVED: Duration = Duration::days(7);
/// What InvalidStateException says.
pub const NOT_ACTIVE: &str =
    "The certificate authority is not in a valid state for issuing certificates";

/// The parameters.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct IssueCertificate {
    pub api_passthrough: Option<ApiPassthrough>,
    pub certificate_authority_arn: String,
    /// Base64 of PEM.
    pub csr: String,
    pub signing_algorithm: String,
    pub template_arn: Option<String>,
    pub validity: Validity,
    pub validity_not_before: Option<Validity>,
    pub idempotency_token: Option<String>,
}

impl IssueCertificate {
    /// The PEM of the request.
    pub fn csr(&self) -> Result<Vec<u8>, Refusal> {
        wire::decode_base64(&self.csr)
            .ok_or_else(|| Refusal::new("SerializationException", "Csr is not base64."))
    }

    /// Does it; gives the certificate's ARN. `parameters` is the whole call, as it came.
    pub fn run(
        &self,
        state: &mut State,
        parameters: &[u8],
        lie: Option<Lie>,
    ) -> Result<String, Refusal> {
        let authority = state.authority(&self.certificate_authority_arn)?;
        let token = self.known_again(state.idempotency, parameters)?;
        let template = Template::named(self.template_arn.as_deref())?;
        if authority.status != Status::Active {
            return Err(Refusal::invalid_state(NOT_ACTIVE));
        }
        let now = state.clock.now();
        if let Some((until, arn)) = token.as_ref().and_then(|token| state.tokens.get(token))
            && now < *until
        {
            return Ok(arn.clone());
        }
        authority.key.check(&self.signing_algorithm)?;
        let request = Request::read(&self.csr()?)?;
        let mut certificate = self.certificate(state, authority, template, &request)?;
        if let Some(lie) = lie {
            lie::about(lie, &mut certificate, now);
        }
        let der = match lie {
            Some(Lie::AnotherIssuer) => {
                let key = key::SigningKey::generate(authority.key.algorithm());
                certificate.sign(&key, &self.signing_algorithm)
            }
            _ => certificate.sign(&authority.key, &self.signing_algorithm),
        };
        let arn = format!("{}/certificate/{}", authority.arn, certificate.serial);
        let issued = Issued {
            arn: arn.clone(),
            authority: authority.arn.clone(),
            serial: certificate.serial,
            der,
            chain: authority.with_chain(),
            ready: now + state.issuing_takes,
            revoked: None,
        };
        state.issued.push(issued);
        if let Some(token) = token {
            state.tokens.insert(token, (now + TOKEN_COUNTS, arn.clone()));
        }
        Ok(arn)
    }

    /// What makes a second call the same request.
    fn known_again(
        &self,
        idempotency: Idempotency,
        parameters: &[u8],
    ) -> Result<Option<String>, Refusal> {
        let Some(token) = &self.idempotency_token else { return Ok(None) };
        if !(1..=36).contains(&token.len()) {
            return Err(Refusal::validation(format!(
                "1 validation error detected: Value {token} at idempotencyToken failed to satisfy \
                 constraint: Member must have length less than or equal to 36"
            )));
        }
        let authority = &self.certificate_authority_arn;
        Ok(Some(match idempotency {
            Idempotency::TokenAlone => format!("{authority} {token}"),
            Idempotency::TokenAndParameters => {
                format!("{authority} {token} {:?}", digest(&SHA256, parameters))
            }
        }))
    }

    fn certificate(
        &self,
        state: &State,
        authority: &Authority,
        template: Template,
        request: &Request,
    ) -> Result<ToBeSigned, Refusal> {
        let now = state.clock.now();
        let not_after = self.validity.end(now)?;
        let start = self.validity_not_before.as_ref().map(Validity::start).transpose()?;
        let not_before = start.unwrap_or(now - Duration::HOUR);
        if not_before >= not_after {
            return Err(Refusal::validation("The certificate would end before it starts."));
        }
        if not_after > authority.certificate.not_after {
            return Err(Refusal::validation(
                "The certificate validity specified exceeds the certificate authority validity",
            ));
        }
        if authority.spec.usage_mode == UsageMode::ShortLivedCertificate
            && not_after - now > SHORT_LIVED
        {
            return Err(Refusal::validation(
                "The certificate validity specified exceeds the 7 days of a certificate authority \
                 with usage mode SHORT_LIVED_CERTIFICATE",
            ));
        }
        let own = authority.spec.path_length;
        let too_deep = |below| own.is_some_and(|own| below >= own);
        if template.path_length().is_some_and(too_deep) {
            return Err(Refusal::validation(
                "The path length of the template exceeds what the certificate authority permits",
            ));
        }
        if template.is_root() {
            return Err(Refusal::invalid_args(
                "The template RootCACertificate is for a certificate authority's own request.",
            ));
        }
        let content = template.content(request, self.api_passthrough.as_ref())?;
        Ok(ToBeSigned {
            serial: serial(),
            issuer: authority.certificate.subject.clone(),
            issuer_key: authority.key_identifier(),
            not_before,
            not_after,
            subject: content.subject,
            public_key: request.public_key.clone(),
            extensions: content.extensions,
        })
    }
}

/// A serial number that nobody can guess.
pub fn serial() -> u128 {
    // A high bit above keeps the length of all of them the same.
    u128::from_be_bytes(key::random()) >> 1 | 1 << 126
}
