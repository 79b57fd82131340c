//! The DER of a request, taken apart strictly: definite lengths, nothing left over at any level.

use std::collections::HashSet;

use pkcs8::AlgorithmIdentifierRef;
use pkcs8::der::asn1::{AnyRef, BitStringRef};
use pkcs8::der::oid::ObjectIdentifier;
use pkcs8::der::{self, Decode, Reader, SliceReader, Tag, TagNumber, Tagged};

use super::extensions::Extensions;
use super::{Asked, RequestError};
use crate::x509::printable::printable;

const COMMON_NAME: &str = "2.5.4.3";
const EXTENSION_REQUEST: &str = "1.2.840.113549.1.9.14";
/// What Windows used before PKCS#9 had the attribute: the same content, easily overlooked.
const MICROSOFT_EXTENSIONS: &str = "1.3.6.1.4.1.311.2.1.14";

/// A request's parts (RFC 2986 section 4), none of them judged yet.
pub(super) struct Structure<'a> {
    /// The CertificationRequestInfo, which is what the signature covers.
    pub signed: &'a [u8],
    /// The SubjectPublicKeyInfo.
    pub spki: &'a [u8],
    /// Which algorithm signed it.
    pub signature_oid: ObjectIdentifier,
    /// With which parameters.
    pub signature_parameters: Option<AnyRef<'a>>,
    /// The signature itself.
    pub signature: &'a [u8],
    subject: AnyRef<'a>,
    attributes: &'a [u8],
}

impl<'a> Structure<'a> {
    pub(super) fn parse(der: &'a [u8]) -> Result<Self, RequestError> {
        let mut reader = SliceReader::new(der).map_err(malformed("its outermost layer"))?;
        let (signed, algorithm, signature) = reader
            .sequence(|r| {
                Ok::<_, der::Error>((
                    r.tlv_bytes()?,
                    AlgorithmIdentifierRef::decode(r)?,
                    BitStringRef::decode(r)?,
                ))
            })
            .map_err(malformed("its outermost layer"))?;
        let count = usize::try_from(reader.remaining_len()).unwrap_or(usize::MAX);
        if count > 0 {
            return Err(RequestError::TrailingBytes { count });
        }
        let (version, subject, spki, attributes) = SliceReader::new(signed)
            .and_then(|mut reader| reader.sequence(information))
            .map_err(malformed("its signed part"))?;
        if version != 0 {
            return Err(RequestError::Version { found: version });
        }
        Ok(Self {
            signed,
            spki,
            signature_oid: algorithm.oid,
            signature_parameters: algorithm.parameters,
            signature: signature
                .as_bytes()
                .ok_or_else(|| malformed("its signature")(Tag::BitString.value_error().into()))?,
            subject,
            attributes,
        })
    }

    /// What it asks for, and in words what it carries besides.
    pub(super) fn asked(&self) -> Result<(Asked, Vec<String>), RequestError> {
        let mut asked = Asked::default();
        let mut set_aside = Vec::new();
        self.read_subject(&mut asked, &mut set_aside)?;
        let mut seen = HashSet::new();
        let wrong = malformed("an attribute");
        for attribute in items(self.attributes) {
            let (oid, values) = attribute.and_then(object_with_value).map_err(&wrong)?;
            if !seen.insert(oid) {
                return Err(RequestError::DuplicateAttribute { oid: oid.to_string() });
            }
            let values = content(values, Tag::Set).map_err(&wrong)?;
            match oid.to_string().as_str() {
                EXTENSION_REQUEST => {
                    let extensions = AnyRef::from_der(values).map_err(&wrong)?;
                    Extensions::read(extensions, &mut asked, &mut set_aside)?;
                }
                MICROSOFT_EXTENSIONS => {
                    return Err(RequestError::CriticalExtension {
                        oid: format!("list {MICROSOFT_EXTENSIONS} of old Windows versions"),
                    });
                }
                oid => set_aside.push(format!("the attribute {oid}")),
            }
        }
        Ok((asked, set_aside))
    }

    fn read_subject(
        &self,
        asked: &mut Asked,
        set_aside: &mut Vec<String>,
    ) -> Result<(), RequestError> {
        let wrong = malformed("its subject");
        for relative_name in items(content(self.subject, Tag::Sequence).map_err(&wrong)?) {
            let relative_name = relative_name.and_then(|name| content(name, Tag::Set));
            for attribute in items(relative_name.map_err(&wrong)?) {
                let (oid, value) = attribute.and_then(object_with_value).map_err(&wrong)?;
                let text = || String::from_utf8_lossy(value.value()).into_owned();
                match oid.to_string().as_str() {
                    COMMON_NAME => {
                        let readable = matches!(
                            value.tag(),
                            Tag::Utf8String | Tag::PrintableString | Tag::Ia5String
                        );
                        if !readable || !value.value().is_ascii() {
                            let what = "a common name";
                            return Err(RequestError::NotAscii { what, text: text() });
                        }
                        if !value.value().is_empty() {
                            asked.common_names.push(text());
                        }
                    }
                    "1.2.840.113549.1.9.1" => {
                        let what = format!("the mail address {:?}", text());
                        return Err(RequestError::NameKind { what });
                    }
                    oid => set_aside.push(format!(
                        "the subject attribute {}={}",
                        name_of_attribute(oid),
                        printable(&text())
                    )),
                }
            }
        }
        Ok(())
    }
}

type Information<'a> = (u8, AnyRef<'a>, &'a [u8], &'a [u8]);

/// CertificationRequestInfo: version, subject, key, attributes.
fn information<'a>(reader: &mut SliceReader<'a>) -> Result<Information<'a>, der::Error> {
    let version = reader.decode()?;
    let subject = reader.decode()?;
    let spki = reader.tlv_bytes()?;
    // RFC 2986 wants the attributes even where there are none; old tools leave them out.
    if reader.is_finished() {
        return Ok((version, subject, spki, &[]));
    }
    let expected = Tag::ContextSpecific { constructed: true, number: TagNumber(0) };
    Ok((version, subject, spki, content(reader.decode()?, expected)?))
}

/// The elements that follow one another in `content`, up to the first that does not decode.
pub(super) fn items(content: &[u8]) -> impl Iterator<Item = Result<AnyRef<'_>, der::Error>> {
    let mut rest = content;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let item = SliceReader::new(rest).and_then(|mut reader| {
            let item = AnyRef::decode(&mut reader)?;
            rest = &rest[rest.len() - usize::try_from(reader.remaining_len())?..];
            Ok(item)
        });
        if item.is_err() {
            rest = &[];
        }
        Some(item)
    })
}

/// What is in an element that must have a certain tag.
pub(super) fn content(item: AnyRef<'_>, expected: Tag) -> Result<&[u8], der::Error> {
    if item.tag() == expected {
        Ok(item.value())
    } else {
        Err(item.tag().unexpected_error(Some(expected)).into())
    }
}

/// A SEQUENCE of an object identifier and one value.
fn object_with_value(item: AnyRef<'_>) -> Result<(ObjectIdentifier, AnyRef<'_>), der::Error> {
    item.sequence(|reader| Ok((reader.decode()?, reader.decode()?)))
}

pub(super) fn malformed(part: &'static str) -> impl Fn(der::Error) -> RequestError {
    move |cause| RequestError::Malformed { part, cause }
}

fn name_of_attribute(oid: &str) -> &str {
    match oid {
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.25" => "DC",
        other => other,
    }
}
