//! The JSON Schema of the mesh file, for editors.
//!
//! It says what one value can say by itself; references, clashes and lifetimes that must fit are
//! for [`super::mesh_file`]. A test holds the two to the same field names.

mod acm_pca;
mod nodes;

use serde_json::{Value, json};

use crate::x509::key::KeyAlgorithm;

/// The name of the schema.
pub const ID: &str = "urn:certctl:mesh:1";

const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$";
const DNS_NAME: &str = "^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\
                        (\\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$";
const TRUST_DOMAIN: &str = "^[a-z0-9._-]{1,255}$";
const SPIFFE_PATH: &str = "^(/[A-Za-z0-9._-]+)+$";
const SPIFFE_ID: &str = "^spiffe://[a-z0-9._-]{1,255}(/[A-Za-z0-9._-]+)+$";
const DURATION: &str = "^\\s*([0-9.]+\\s*[A-Za-z\u{b5}]+\\s*)+$";
const FILE_MODE: &str = "^0?[46][0246]0$";

/// The schema (JSON Schema draft 2020-12).
pub fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        "title": "certctl mesh file",
        "description": "Who exists in a mesh, who signs their certificates, and whom they trust.",
        "type": "object",
        "required": ["version", "trustDomain", "authorities"],
        "additionalProperties": false,
        "properties": {
            "version": {
                "description": "The version of this format.",
                "const": 1
            },
            "trustDomain": {
                "description": "The SPIFFE trust domain: the first part of every identity here.",
                "type": "string",
                "pattern": TRUST_DOMAIN,
                "examples": ["example.org"]
            },
            "dnsSuffix": {
                "description": "Gives NAME.SUFFIX to each node that lists no dnsNames.",
                "$ref": "#/$defs/dnsName",
                "examples": ["default.svc.cluster.local"]
            },
            "clockSkew": {
                "description": "How far certificates are back-dated for peers whose clocks are \
                                behind; at most 24h.",
                "anyOf": [{ "$ref": "#/$defs/duration" }, { "const": 0 }],
                "default": "5m"
            },
            "defaults": { "$ref": "#/$defs/defaults" },
            "distrust": {
                "description": "Authorities that nobody is to trust any more, from this moment on: \
                                after a key was stolen.",
                "type": "array",
                "uniqueItems": true,
                "items": { "$ref": "#/$defs/name" }
            },
            "authorities": {
                "description": "Who signs, and who is trusted.",
                "type": "object",
                "minProperties": 1,
                "propertyNames": { "pattern": NAME },
                "additionalProperties": { "$ref": "#/$defs/authority" }
            },
            "virtualNodes": {
                "description": "The services of the mesh, by name.",
                "$ref": "#/$defs/nodes"
            },
            "virtualGateways": {
                "description": "The gateways of the mesh, by name; no node may have the same.",
                "$ref": "#/$defs/nodes"
            }
        },
        "$defs": definitions(),
        "examples": [{
            "version": 1,
            "trustDomain": "example.org",
            "authorities": {
                "ca_1": {},
                "partner": { "trustOnly": { "certificates": "partner.pem" } }
            },
            "virtualNodes": {
                "front": { "authority": "ca_1", "backends": ["colors"] },
                "colors": { "callers": ["front", "spiffe://partner.example/shop"] }
            }
        }]
    })
}

fn definitions() -> Value {
    let algorithms = KeyAlgorithm::ALL.map(KeyAlgorithm::as_str);
    json!({
        "name": { "type": "string", "pattern": NAME },
        "dnsName": { "type": "string", "pattern": DNS_NAME, "maxLength": 253 },
        "duration": {
            "type": "string",
            "pattern": DURATION,
            "examples": ["90s", "30m", "24h", "90d", "1h 30m"]
        },
        "file": {
            "description": "A path; relative ones begin at the mesh file's directory.",
            "type": "string",
            "minLength": 1
        },
        "keyAlgorithm": { "enum": algorithms, "default": KeyAlgorithm::default().as_str() },
        "authority": authority(),
        "local": local(),
        "privateCa": acm_pca::private_ca(),
        "trustOnly": {
            "description": "A partner's roots: trusted, and never asked to sign.",
            "type": "object",
            "additionalProperties": false,
            "required": ["certificates"],
            "properties": {
                "certificates": {
                    "description": "PEM: one root certificate or more.",
                    "$ref": "#/$defs/file"
                },
                "trustDomain": {
                    "description": "The SPIFFE trust domain that they vouch for; the mesh's own \
                                    by default.",
                    "type": "string",
                    "pattern": TRUST_DOMAIN
                }
            }
        },
        "subject": subject(),
        "trust": {
            "description": "Authorities whose certificates are accepted.",
            "type": "array",
            "minItems": 1,
            "uniqueItems": true,
            "items": { "$ref": "#/$defs/name" }
        },
        "callers": {
            "description": "The clients that are expected: nodes by name, others by SPIFFE ID. \
                            Without it, everyone whom the listener trusts.",
            "type": "array",
            "uniqueItems": true,
            "items": { "anyOf": [
                { "$ref": "#/$defs/name" },
                { "type": "string", "pattern": SPIFFE_ID, "maxLength": 2048 }
            ] }
        },
        "mode": {
            "description": "Whether the listener insists on mutual TLS.",
            "enum": ["strict", "permissive"],
            "default": "strict"
        },
        "account": {
            "anyOf": [
                { "type": "string", "minLength": 1, "pattern": "^[^-+\\s:/,][^\\s:/,]*$" },
                { "type": "integer", "minimum": 0, "maximum": 4_294_967_294_u32 }
            ]
        },
        "fileMode": {
            "description": "The permissions of the key file, in octal. Others never read it.",
            "anyOf": [
                { "type": "string", "pattern": FILE_MODE },
                // How an unquoted 0640 arrives depends on the YAML version.
                { "type": "integer", "minimum": 0, "maximum": 660 }
            ],
            "default": "0600",
            "examples": ["0600", "0640"]
        },
        "attest": {
            "description": "Who may ask a running agent for it: any, or what must hold of the \
                            process. Without it, processes of the agent's own user and container.",
            "anyOf": [
                { "enum": ["any", ["any"]] },
                { "$ref": "#/$defs/selectors" },
                { "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/selectors" } }
            ]
        },
        "selectors": nodes::selectors(),
        "nodes": {
            "type": ["object", "null"],
            "propertyNames": { "pattern": NAME },
            "additionalProperties": { "$ref": "#/$defs/node" }
        },
        "node": nodes::node(),
        "listener": {
            "description": "What it does as a server.",
            "type": ["object", "null"],
            "additionalProperties": false,
            "properties": {
                "trust": { "$ref": "#/$defs/trust" },
                "callers": { "$ref": "#/$defs/callers" },
                "mode": { "$ref": "#/$defs/mode" }
            }
        },
        "backend": {
            "type": ["object", "null"],
            "additionalProperties": false,
            "properties": {
                "trust": { "$ref": "#/$defs/trust" },
                "port": {
                    "description": "The backend's TCP port.",
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 65535
                }
            }
        },
        "files": {
            "description": "How its files are named and who may read them.",
            "type": ["object", "null"],
            "additionalProperties": false,
            "properties": {
                "name": {
                    "description": "What their names begin with; the node's name by default.",
                    "$ref": "#/$defs/name"
                },
                "owner": { "$ref": "#/$defs/account" },
                "group": { "$ref": "#/$defs/account" },
                "mode": { "$ref": "#/$defs/fileMode" }
            }
        },
        "defaults": nodes::defaults()
    })
}

fn authority() -> Value {
    json!({
        "description": "Of one kind: local (the default), acmPca or trustOnly.",
        "type": ["object", "null"],
        "additionalProperties": false,
        "maxProperties": 1,
        "properties": {
            "local": { "$ref": "#/$defs/local" },
            "acmPca": {
                "description": "A CA of AWS Private CA; or several in order of preference, where \
                                the next one signs when the first cannot.",
                "if": { "type": "array" },
                "then": { "minItems": 1, "items": { "$ref": "#/$defs/privateCa" } },
                "else": { "$ref": "#/$defs/privateCa" }
            },
            "trustOnly": { "$ref": "#/$defs/trustOnly" }
        }
    })
}

fn local() -> Value {
    json!({
        "description": "A CA that certctl makes on first use; with certificate and key, one that \
                        exists already.",
        "type": ["object", "null"],
        "additionalProperties": false,
        "properties": {
            "subject": { "$ref": "#/$defs/subject" },
            "keyAlgorithm": { "$ref": "#/$defs/keyAlgorithm" },
            "lifetime": {
                "description": "How long its certificate lives: 3650d for a root, 365d for an \
                                intermediate, unless said.",
                "$ref": "#/$defs/duration"
            },
            "parent": {
                "description": "The authority that signs it; without one it is a root.",
                "$ref": "#/$defs/name"
            },
            "passphraseFile": {
                "description": "A file with the passphrase that encrypts its key.",
                "$ref": "#/$defs/file"
            },
            "certificate": {
                "description": "PEM of an existing CA: its certificate, then those above it.",
                "$ref": "#/$defs/file"
            },
            "key": {
                "description": "PEM of an existing CA's key.",
                "$ref": "#/$defs/file"
            }
        },
        "dependentRequired": { "certificate": ["key"], "key": ["certificate"] },
        "if": { "type": "object", "required": ["certificate"] },
        "then": {
            "properties": {
                "subject": false, "keyAlgorithm": false, "lifetime": false, "parent": false
            }
        }
    })
}

fn subject() -> Value {
    let text = |description: &str, most: u32| {
        json!({
            "description": description,
            "type": "string",
            "minLength": 1,
            "maxLength": most,
            "pattern": "\\S"
        })
    };
    json!({
        "description": "The name in its certificate. Without it: the authority's name as common \
                        name, the trust domain as organization.",
        "type": ["object", "null"],
        "additionalProperties": false,
        "properties": {
            "commonName": text("CN; the authority's name by default.", 64),
            "organization": text("O.", 64),
            "organizationalUnit": text("OU.", 64),
            "country": {
                "description": "C: two upper-case letters.",
                "type": "string",
                "pattern": "^[A-Z]{2}$"
            },
            "province": text("ST.", 128),
            "locality": text("L.", 128)
        }
    })
}

#[cfg(test)]
mod tests;
