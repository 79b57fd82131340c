//! A CA of AWS Private CA in the schema.

use serde_json::{Value, json};

use crate::desired::acm_pca::{CaArn, LeafTemplate, Rates};

/// As [`CaArn::parse`] has it.
const ARN: &str =
    "^arn:aws[a-z0-9-]*:acm-pca:[a-z0-9-]+:[0-9]{12}:certificate-authority/[a-z0-9-]+$";

/// One CA.
pub(super) fn private_ca() -> Value {
    let rate = |call: &str, default: u32| {
        json!({
            "description": format!("Of {call}."),
            "type": "integer",
            "minimum": 1,
            "maximum": 10_000,
            "default": default
        })
    };
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["arn"],
        "properties": {
            "arn": {
                "description": "Which CA.",
                "type": "string",
                "pattern": ARN,
                "maxLength": CaArn::MAX_LENGTH
            },
            "region": {
                "description": "The ARN's own region, for those who read the file.",
                "type": "string"
            },
            "endpoint": {
                "description": "The URL of the service; the region's own unless said.",
                "type": "string",
                "pattern": "^https?://[A-Za-z0-9.:\\[\\]-]+/?$"
            },
            "certificates": {
                "description": "PEM: the CA's certificate, then those above it up to the root. \
                                Trusted until AWS has said what they are.",
                "$ref": "#/$defs/file"
            },
            "template": {
                "description": "What leaves are made from. Names and usages are certctl's to say \
                                with the first, the names with the second; with the third they \
                                are in the request.",
                "enum": LeafTemplate::ALL.map(LeafTemplate::as_str),
                "default": LeafTemplate::default().as_str()
            },
            "rates": {
                "description": "How many requests it is sent in a second, at most.",
                "type": ["object", "null"],
                "additionalProperties": false,
                "properties": {
                    "issue": rate("IssueCertificate", Rates::default().issue),
                    "get": rate("GetCertificate", Rates::default().get)
                }
            },
            "maxCertificatesPerHour": {
                "description": "How many certificates it is asked for in an hour with one state directory, at most.",
                "type": "integer",
                "minimum": 1,
                "maximum": u32::MAX
            },
            "pricePerCertificate": {
                "description": "What one of its certificates costs, for the estimate of `certctl \
                                config check`.",
                "type": ["number", "string"],
                "minimum": 0,
                "exclusiveMaximum": 1_000_000_000,
                "pattern": "^[0-9]{1,9}(\\.[0-9]{1,6})?$"
            }
        }
    })
}
