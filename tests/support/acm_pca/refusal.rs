//! The errors that the service answers with, named as its API model names them.

use serde_json::{Value, json};

/// An answer that is an error.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The name of the exception.
    pub code: String,
    /// What it says.
    pub message: String,
}

impl Refusal {
    /// Any error that is the caller's: status 400.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { status: 400, code: code.to_owned(), message: message.into() }
    }

    /// With another HTTP status.
    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub fn invalid_args(message: impl Into<String>) -> Self {
        Self::new("InvalidArgsException", message)
    }

    pub fn invalid_arn(arn: &str) -> Self {
        Self::new("InvalidArnException", format!("{arn} is not a valid ARN"))
    }

    pub fn invalid_state(message: impl Into<String>) -> Self {
        Self::new("InvalidStateException", message)
    }

    pub fn malformed_csr(message: impl Into<String>) -> Self {
        Self::new("MalformedCSRException", message)
    }

    pub fn not_found(arn: &str) -> Self {
        Self::new("ResourceNotFoundException", format!("could not find {arn}"))
    }

    /// What violates the API's model, or a rule on values.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", message)
    }

    /// The body of AWS JSON 1.1.
    pub fn body(&self) -> Value {
        json!({ "__type": self.code, "message": self.message })
    }
}
