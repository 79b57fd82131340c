//! The extensions that a request asks for (RFC 2985 section 5.4.2, RFC 5280 section 4.2).

use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use pkcs8::der::asn1::{AnyRef, BitStringRef, OctetStringRef};
use pkcs8::der::oid::ObjectIdentifier;
use pkcs8::der::{self, Decode, Reader, SliceReader, Tag, Tagged};

use super::structure::{content, items, malformed};
use super::{Asked, RequestError};
use crate::identity::{DnsName, SpiffeId};

/// Reads extensions into what is asked for.
pub(super) struct Extensions<'s> {
    asked: &'s mut Asked,
    set_aside: &'s mut Vec<String>,
}

struct Extension<'a> {
    oid: ObjectIdentifier,
    critical: bool,
    value: &'a [u8],
}

impl<'s> Extensions<'s> {
    pub(super) fn read(
        list: AnyRef<'_>,
        asked: &'s mut Asked,
        set_aside: &'s mut Vec<String>,
    ) -> Result<(), RequestError> {
        let wrong = malformed("its list of extensions");
        let list = content(list, Tag::Sequence).map_err(&wrong)?;
        let mut this = Self { asked, set_aside };
        let mut seen = HashSet::new();
        for item in items(list) {
            let extension = item.and_then(Extension::of).map_err(&wrong)?;
            if !seen.insert(extension.oid) {
                let name = name_of_extension(&extension.oid.to_string());
                return Err(RequestError::DuplicateExtension { name });
            }
            this.learn(&extension)?;
        }
        Ok(())
    }

    fn learn(&mut self, extension: &Extension<'_>) -> Result<(), RequestError> {
        let oid = extension.oid.to_string();
        match oid.as_str() {
            "2.5.29.17" => return self.learn_names(extension.value),
            "2.5.29.19" => basic_constraints(extension.value)?,
            "2.5.29.15" => key_usage(extension.value)?,
            "2.5.29.37" => extended_key_usage(extension.value)?,
            // A subject key identifier: ours is the hash of the key.
            "2.5.29.14" => {}
            _ if extension.critical => return Err(RequestError::CriticalExtension { oid }),
            _ => {}
        }
        self.set_aside.push(format!("the extension {}", name_of_extension(&oid)));
        Ok(())
    }

    fn learn_names(&mut self, value: &[u8]) -> Result<(), RequestError> {
        let wrong = malformed("its subject alternative name");
        let list = AnyRef::from_der(value)
            .and_then(|list| content(list, Tag::Sequence))
            .map_err(&wrong)?;
        if list.is_empty() {
            let what = "a subject alternative name extension without any name";
            return Err(RequestError::EmptyName { what });
        }
        let mut seen = HashSet::new();
        let mut uris = 0;
        for name in items(list) {
            let name = name.map_err(&wrong)?;
            let Tag::ContextSpecific { constructed, number } = name.tag() else {
                return Err(wrong(name.tag().unexpected_error(None).into()));
            };
            if let (false, 2 | 6) = (constructed, number.value()) {
                let text = text_of(name.value(), number.value() == 2)?;
                if number.value() == 2 {
                    let name = DnsName::parse(text).map_err(RequestError::Name)?;
                    if !seen.insert(name.clone()) {
                        return Err(RequestError::RepeatedName { name: name.to_string() });
                    }
                    self.asked.dns_names.push(name);
                } else {
                    uris += 1;
                    if uris == 1 {
                        let id = SpiffeId::parse(text).map_err(RequestError::Name)?;
                        self.asked.spiffe_id = Some(id);
                    }
                }
                continue;
            }
            let what = name_of_kind(constructed, number.value(), name.value());
            return Err(RequestError::NameKind { what });
        }
        if uris > 1 {
            return Err(RequestError::SeveralUris { count: uris });
        }
        Ok(())
    }
}

impl<'a> Extension<'a> {
    fn of(item: AnyRef<'a>) -> Result<Self, der::Error> {
        item.sequence(|reader| {
            let oid = reader.decode()?;
            // Absent where false.
            let critical = match Tag::peek(reader)? {
                Tag::Boolean => reader.decode()?,
                _ => false,
            };
            let value = <&OctetStringRef>::decode(reader)?.as_bytes();
            Ok(Self { oid, critical, value })
        })
    }
}

fn text_of(bytes: &[u8], dns: bool) -> Result<&str, RequestError> {
    let (what, empty) = if dns {
        ("a DNS name", "a DNS name that is empty")
    } else {
        ("a URI", "a URI that is empty")
    };
    if bytes.is_empty() {
        return Err(RequestError::EmptyName { what: empty });
    }
    // An IA5String (RFC 5280 section 4.2.1.6).
    std::str::from_utf8(bytes).ok().filter(|text| text.is_ascii()).ok_or_else(|| {
        RequestError::NotAscii { what, text: String::from_utf8_lossy(bytes).into_owned() }
    })
}

/// A GeneralName that we do not issue, in words.
fn name_of_kind(constructed: bool, number: u32, value: &[u8]) -> String {
    let text = || String::from_utf8_lossy(value);
    match (number, constructed) {
        (0, true) => "an otherName".to_owned(),
        (1, false) if value.is_empty() => "a mail address that is empty".to_owned(),
        (1, false) => format!("the mail address {:?}", text()),
        (3, true) => "an X.400 address".to_owned(),
        (4, true) => "a directory name".to_owned(),
        (5, true) => "an EDI party name".to_owned(),
        (7, false) => match (<[u8; 4]>::try_from(value), <[u8; 16]>::try_from(value)) {
            (Ok(four), _) => format!("the IP address {}", Ipv4Addr::from(four)),
            (_, Ok(sixteen)) => format!("the IP address {}", Ipv6Addr::from(sixteen)),
            _ => format!("an IP address of {} bytes, which there cannot be", value.len()),
        },
        (8, false) => "a registeredID".to_owned(),
        _ => format!("a name of the unknown kind [{number}]"),
    }
}

fn basic_constraints(value: &[u8]) -> Result<(), RequestError> {
    let wrong = malformed("its basicConstraints");
    let (ca, path_length) = SliceReader::new(value)
        .and_then(|mut reader| {
            let constraints = reader.sequence(|reader| {
                let ca: Option<bool> = reader.decode()?;
                let path_length: Option<u32> = reader.decode()?;
                Ok::<_, der::Error>((ca.unwrap_or(false), path_length))
            })?;
            reader.finish().map(|()| constraints)
        })
        .map_err(wrong)?;
    if ca {
        return Err(RequestError::Authority { what: "being a CA (CA:TRUE)" });
    }
    if path_length.is_some() {
        return Err(RequestError::Authority { what: "a CA's path length" });
    }
    Ok(())
}

fn key_usage(value: &[u8]) -> Result<(), RequestError> {
    let bits = BitStringRef::from_der(value).map_err(malformed("its keyUsage"))?;
    // Bit 5 is keyCertSign, bit 6 is cRLSign (RFC 5280 section 4.2.1.3).
    let first = bits.raw_bytes().first().copied().unwrap_or(0);
    if first & 0b0000_0100 != 0 {
        return Err(RequestError::Authority { what: "the key usage keyCertSign" });
    }
    if first & 0b0000_0010 != 0 {
        return Err(RequestError::Authority { what: "the key usage cRLSign" });
    }
    Ok(())
}

fn extended_key_usage(value: &[u8]) -> Result<(), RequestError> {
    let usages: Vec<ObjectIdentifier> =
        Vec::from_der(value).map_err(malformed("its extendedKeyUsage"))?;
    for usage in usages {
        let oid = usage.to_string();
        let name = match oid.as_str() {
            "1.3.6.1.5.5.7.3.1" | "1.3.6.1.5.5.7.3.2" => continue,
            "1.3.6.1.5.5.7.3.3" => "codeSigning",
            "1.3.6.1.5.5.7.3.4" => "emailProtection",
            "1.3.6.1.5.5.7.3.8" => "timeStamping",
            "1.3.6.1.5.5.7.3.9" => "OCSPSigning",
            "2.5.29.37.0" => "any",
            other => other,
        };
        return Err(RequestError::ExtendedUsage { usage: name.to_owned() });
    }
    Ok(())
}

fn name_of_extension(oid: &str) -> String {
    let name = match oid {
        "2.5.29.14" => "subjectKeyIdentifier",
        "2.5.29.15" => "keyUsage",
        "2.5.29.17" => "subjectAltName",
        "2.5.29.19" => "basicConstraints",
        "2.5.29.30" => "nameConstraints",
        "2.5.29.37" => "extendedKeyUsage",
        other => other,
    };
    name.to_owned()
}
