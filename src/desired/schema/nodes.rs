//! The schema of nodes and gateways, and of the defaults for them.

use serde_json::{Value, json};

use super::{NAME, SPIFFE_PATH};

/// What must hold of a process.
pub fn selectors() -> Value {
    let number = json!({
        "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": 4_294_967_294_u32 },
            { "type": "string", "pattern": "^[0-9]{1,10}$" }
        ]
    });
    let text = |description: &str, pattern: &str| json!({ "description": description, "type": "string", "pattern": pattern });
    json!({
        "description": "What must hold of a process, by the kernel's word: all of it.",
        "type": "object",
        "additionalProperties": false,
        "minProperties": 1,
        "properties": {
            "uid": number,
            "gid": number,
            "executable": text("The path of its executable, as the process sees it.", "^/.*[^/]$"),
            "sha256": text("The SHA-256 of its executable.", "^[0-9A-Fa-f]{64}$"),
            "pod": text("The UID of its Kubernetes pod.", "^[0-9A-Za-z-]{1,64}$"),
            "container": text("The id of its container.", "^[0-9A-Za-z_.-]{1,128}$")
        }
    })
}

/// A node or gateway.
pub fn node() -> Value {
    json!({
        "type": ["object", "null"],
        "additionalProperties": false,
        "properties": {
            "authority": {
                "description": "Who signs it; may be left out where only one authority can.",
                "$ref": "#/$defs/name"
            },
            "dnsNames": {
                "description": "The DNS names in its certificate; [] for none, dnsSuffix or not.",
                "type": "array",
                "uniqueItems": true,
                "items": { "$ref": "#/$defs/dnsName" }
            },
            "spiffePath": {
                "description": "The path of its SPIFFE ID; /NAME by default.",
                "type": "string",
                "pattern": SPIFFE_PATH,
                "examples": ["/ns/default/front"]
            },
            "trust": {
                "description": "Whose certificates it accepts in both directions; by default its \
                                own authority and those of its callers and backends.",
                "$ref": "#/$defs/trust"
            },
            "listener": { "$ref": "#/$defs/listener" },
            "callers": { "description": "Short for listener.callers.", "$ref": "#/$defs/callers" },
            "backends": {
                "description": "The nodes that it calls: a list of names, or a mapping with what \
                                is particular to each. Without it, everyone whom it trusts.",
                "anyOf": [
                    { "type": "array", "uniqueItems": true, "items": { "$ref": "#/$defs/name" } },
                    {
                        "type": "object",
                        "propertyNames": { "pattern": NAME },
                        "additionalProperties": { "$ref": "#/$defs/backend" }
                    }
                ]
            },
            "lifetime": {
                "description": "How long its certificate lives; 24h by default.",
                "$ref": "#/$defs/duration"
            },
            "keyAlgorithm": { "$ref": "#/$defs/keyAlgorithm" },
            "files": { "$ref": "#/$defs/files" },
            "attest": { "$ref": "#/$defs/attest" }
        },
        "not": {
            "type": "object",
            "required": ["callers", "listener"],
            "properties": { "listener": { "type": "object", "required": ["callers"] } }
        }
    })
}

/// What holds for all of them.
pub fn defaults() -> Value {
    json!({
        "description": "For every node and gateway that does not say otherwise.",
        "type": ["object", "null"],
        "additionalProperties": false,
        "properties": {
            "authority": { "$ref": "#/$defs/name" },
            "trust": { "$ref": "#/$defs/trust" },
            "lifetime": { "$ref": "#/$defs/duration", "default": "24h" },
            "keyAlgorithm": { "$ref": "#/$defs/keyAlgorithm" },
            "listener": {
                "type": ["object", "null"],
                "additionalProperties": false,
                "properties": {
                    "trust": { "$ref": "#/$defs/trust" },
                    "mode": { "$ref": "#/$defs/mode" }
                }
            },
            "files": {
                "type": ["object", "null"],
                "additionalProperties": false,
                "properties": {
                    "owner": { "$ref": "#/$defs/account" },
                    "group": { "$ref": "#/$defs/account" },
                    "mode": { "$ref": "#/$defs/fileMode" }
                }
            },
            "attest": { "$ref": "#/$defs/attest" }
        }
    })
}
