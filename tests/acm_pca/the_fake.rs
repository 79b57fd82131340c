//! The fake keeps to what AWS documents: its wire before the real SDK, its certificates before
//! openssl.

mod authorities;
mod control;
mod faults;
mod idempotency;
mod lies;
mod refusals;
mod templates;
mod validity;

use aws_sdk_acmpca::Client;
use aws_sdk_acmpca::operation::get_certificate::GetCertificateOutput;
use aws_sdk_acmpca::operation::issue_certificate::builders::IssueCertificateFluentBuilder;
use aws_sdk_acmpca::primitives::Blob;
use aws_sdk_acmpca::types::{SigningAlgorithm, ValidityPeriodType};

use crate::fake::{Fake, Spec};
use crate::sdk;
use crate::support::openssl::Openssl;

/// A fake with one authority, a caller, and a judge.
struct Bench {
    fake: Fake,
    authority: String,
    client: Client,
    openssl: Openssl,
}

impl Bench {
    fn new() -> Self {
        Self::with(Spec::root("ca_1"))
    }

    fn with(spec: Spec) -> Self {
        let fake = Fake::start();
        let authority = fake.create(spec);
        let client = sdk::client(&fake.endpoint(), &fake.region());
        let bench = Self { fake, authority, client, openssl: Openssl::new() };
        bench.openssl.run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem");
        bench
    }

    /// A request for the bench's key; more of openssl's arguments may follow.
    fn csr(&self, arguments: &str) -> Blob {
        self.openssl.run(&format!("req -new -key key.pem -out csr.pem {arguments}"));
        Blob::new(self.openssl.read("csr.pem"))
    }

    /// A call for a day's certificate, to change.
    fn issue(&self) -> IssueCertificateFluentBuilder {
        self.client
            .issue_certificate()
            .certificate_authority_arn(&self.authority)
            .csr(self.csr("-subj /CN=front -addext subjectAltName=DNS:front.example"))
            .signing_algorithm(SigningAlgorithm::Sha256Withecdsa)
            .validity(sdk::validity(ValidityPeriodType::Days, 1))
    }

    /// The ARN of what a call issues.
    async fn issued(&self, call: IssueCertificateFluentBuilder) -> String {
        call.send().await.unwrap().certificate_arn.unwrap()
    }

    async fn get(&self, arn: &str) -> GetCertificateOutput {
        let call = self.client.get_certificate().certificate_arn(arn);
        call.certificate_authority_arn(&self.authority).send().await.unwrap()
    }

    /// Issues and fetches; leaves `cert.pem` and `chain.pem`. What openssl says is in it.
    async fn text(&self, call: IssueCertificateFluentBuilder) -> String {
        let arn = self.issued(call).await;
        self.text_of(&self.get(&arn).await)
    }

    fn text_of(&self, certificate: &GetCertificateOutput) -> String {
        self.openssl.write("cert.pem", certificate.certificate().unwrap());
        self.openssl.write("chain.pem", certificate.certificate_chain().unwrap_or_default());
        self.openssl.run("x509 -in cert.pem -noout -text")
    }

    /// What openssl says of one extension of `cert.pem`, on one line.
    fn extension(&self, name: &str) -> String {
        let text = self.openssl.run(&format!("x509 -in cert.pem -noout -ext {name}"));
        let lines = text.lines().filter(|line| !line.starts_with("No extensions"));
        lines.map(str::trim).collect::<Vec<_>>().join(" ")
    }
}
