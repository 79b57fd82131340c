//! What the fake was asked, call by call, for tests to count.

use serde::{Serialize, Serializer};
use time::OffsetDateTime;

/// One call.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// Such as `IssueCertificate`.
    pub operation: String,
    /// When it came, by the fake's clock.
    #[serde(serialize_with = "unix_seconds")]
    pub at: OffsetDateTime,
    /// How many calls of this operation were under way then, with this one.
    pub concurrent: usize,
    /// The ARN of the authority, as far as one was named.
    pub authority: Option<String>,
    /// The ARN of the certificate: asked for, or answered.
    pub certificate: Option<String>,
    pub idempotency_token: Option<String>,
    /// SHA-256 of the request's bytes, in hexadecimal digits.
    pub csr_sha256: Option<String>,
    pub template: Option<String>,
    /// `Type` and `Value` of the validity: `ABSOLUTE 1700000000`.
    pub validity: Option<String>,
    pub signing_algorithm: Option<String>,
    /// `done`, the name of an exception, or what the fake did in place of an answer.
    pub outcome: String,
}

fn unix_seconds<S: Serializer>(at: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(at.unix_timestamp_nanos() as f64 / 1e9)
}

/// All the calls.
#[derive(Debug, Default)]
pub struct Journal {
    calls: Vec<Call>,
    under_way: Vec<String>,
}

impl Journal {
    /// Notes that a call came; gives its number.
    pub fn open(&mut self, mut call: Call) -> usize {
        self.under_way.push(call.operation.clone());
        call.concurrent = self.under_way.iter().filter(|other| **other == call.operation).count();
        self.calls.push(call);
        self.calls.len() - 1
    }

    /// Notes what became of a call.
    pub fn settle(&mut self, number: usize, outcome: &str, certificate: Option<&str>) {
        let call = &mut self.calls[number];
        call.outcome = outcome.to_owned();
        if let Some(certificate) = certificate {
            call.certificate = Some(certificate.to_owned());
        }
    }

    /// Notes that a call is over: answered, or its caller gone.
    pub fn close(&mut self, number: usize) {
        let operation = &self.calls[number].operation;
        if let Some(place) = self.under_way.iter().position(|other| other == operation) {
            self.under_way.swap_remove(place);
        }
    }

    /// The calls so far, in the order in which they came.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// How many calls of an operation came after a moment and were not throttled.
    pub fn taken_since(&self, operation: &str, since: OffsetDateTime) -> usize {
        let recent = self.calls.iter().rev().take_while(|call| call.at > since);
        let theirs = recent.filter(|call| call.operation == operation);
        theirs.filter(|call| call.outcome != "ThrottlingException").count()
    }

    /// The most calls of an operation within any span of one second.
    pub fn peak_rate(&self, operation: &str) -> usize {
        let times = self.calls.iter().filter(|call| call.operation == operation);
        let times: Vec<_> = times.map(|call| call.at).collect();
        let within = |start: &OffsetDateTime| {
            let end = *start + time::Duration::SECOND;
            times.iter().filter(|at| (*start..end).contains(*at)).count()
        };
        times.iter().map(within).max().unwrap_or(0)
    }
}
