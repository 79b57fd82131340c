//! The TLS of listeners and client policies: what is presented, and what is expected.

use super::super::view::View;

/// A listener's TLS.
#[derive(Clone, Debug, PartialEq)]
pub struct ListenerTls {
    pub permissive: bool,
    pub certificate: Option<Certificate>,
    pub validation: Option<Validation>,
}

/// TLS toward backends.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientTls {
    pub enforce: bool,
    pub ports: Vec<u16>,
    pub certificate: Option<Certificate>,
    pub validation: Option<Validation>,
}

/// What is presented.
#[derive(Clone, Debug, PartialEq)]
pub enum Certificate {
    Acm(String),
    File { chain: String, key: String },
    Sds(String),
}

/// What is expected of the other side.
#[derive(Clone, Debug, PartialEq)]
pub struct Validation {
    pub trust: Option<Trust>,
    /// None where any name will do.
    pub names: Option<Vec<String>>,
}

/// Whose certificates are accepted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Trust {
    Acm(Vec<String>),
    File(String),
    Sds(String),
}

/// Reads a listener's `tls`. None where it is disabled.
pub fn listener_tls(tls: View<'_>) -> Option<ListenerTls> {
    let tls = tls.mapping("tls")?;
    tls.expect("a listener's tls", &["certificate", "mode", "validation"]);
    let permissive = match tls.get("mode") {
        None => {
            tls.note("this tls has no mode, which App Mesh requires; taken as STRICT");
            false
        }
        Some(mode) => match mode.text("mode")?.value.as_str() {
            "DISABLED" => return None,
            "PERMISSIVE" => true,
            "STRICT" => false,
            other => {
                return mode.error(format!(
                    "the TLS mode is {other:?}; it is DISABLED, PERMISSIVE or STRICT"
                ));
            }
        },
    };
    Some(ListenerTls {
        permissive,
        certificate: tls.get("certificate").and_then(certificate),
        validation: tls.get("validation").and_then(validation),
    })
}

/// Reads the `tls` of a `clientPolicy`.
pub fn client_tls(policy: View<'_>) -> Option<ClientTls> {
    let tls = policy.get("tls")?.mapping("tls")?;
    tls.expect("a clientPolicy's tls", &["certificate", "enforce", "ports", "validation"]);
    let ports = tls.get("ports").map(|ports| ports.items("ports")).unwrap_or_default();
    Some(ClientTls {
        enforce: tls.get("enforce").and_then(|enforce| enforce.truth("enforce")).unwrap_or(true),
        ports: ports.into_iter().filter_map(View::port).collect(),
        certificate: tls.get("certificate").and_then(certificate),
        validation: tls.get("validation").and_then(validation),
    })
}

fn certificate(view: View<'_>) -> Option<Certificate> {
    let view = view.mapping("certificate")?;
    view.expect("a certificate", &["acm", "file", "sds"]);
    if let Some(acm) = view.get("acm") {
        let arn = renamed(acm, "certificateARN", "certificateArn")?;
        return Some(Certificate::Acm(arn.text("certificateARN")?.value));
    }
    if let Some(file) = view.get("file") {
        file.expect("a certificate's file", &["certificateChain", "privateKey"]);
        let chain = file.text_at("certificateChain");
        let key = file.text_at("privateKey");
        return Some(Certificate::File { chain: chain?.value, key: key?.value });
    }
    if let Some(sds) = view.get("sds") {
        return Some(Certificate::Sds(sds.text_at("secretName")?.value));
    }
    view.error("this certificate is neither `acm`, `file` nor `sds`")
}

fn validation(view: View<'_>) -> Option<Validation> {
    let view = view.mapping("validation")?;
    view.expect("a validation", &["subjectAlternativeNames", "trust"]);
    let names = view.get("subjectAlternativeNames").and_then(|names| {
        let exact = names.at(["match", "exact"])?.items("exact");
        Some(
            exact
                .into_iter()
                .filter_map(|name| name.text("exact"))
                .map(|name| name.value)
                .collect(),
        )
    });
    Some(Validation { trust: view.get("trust").and_then(trust), names })
}

fn trust(view: View<'_>) -> Option<Trust> {
    let view = view.mapping("trust")?;
    view.expect("a trust", &["acm", "file", "sds"]);
    if let Some(acm) = view.get("acm") {
        let arns = renamed(acm, "certificateAuthorityARNs", "certificateAuthorityArns")?;
        let arns = match arns.raw() {
            Some(_) => vec![arns],
            None => arns.items("certificateAuthorityARNs"),
        };
        let arns = arns.into_iter().map(|arn| arn.text("certificateAuthorityARNs"));
        return Some(Trust::Acm(
            arns.collect::<Option<Vec<_>>>()?.into_iter().map(|arn| arn.value).collect(),
        ));
    }
    if let Some(file) = view.get("file") {
        return Some(Trust::File(file.text_at("certificateChain")?.value));
    }
    if let Some(sds) = view.get("sds") {
        return Some(Trust::Sds(sds.text_at("secretName")?.value));
    }
    view.error("this trust is neither `acm`, `file` nor `sds`")
}

/// A field, or the spelling of App Mesh's own API, which its users mix up with that of Kubernetes.
fn renamed<'a>(view: View<'a>, name: &str, other: &str) -> Option<View<'a>> {
    view.get(name).or_else(|| {
        let found = view.get(other)?;
        found.note(format!("the field is called `{name}` in Kubernetes; read as that"));
        Some(found)
    })
}
