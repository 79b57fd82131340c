//! The small values of a mesh file: lists of names, accounts, modes, paths, subject attributes.

use std::collections::HashMap;

use super::{NamedFile, Scope};
use crate::desired::document::Spanned;
use crate::desired::problem::{Problem, Problems};
use crate::desired::reader::{self, MappingReader};
use crate::desired::{Account, ListenerMode};

/// A list of texts, each with its place.
pub type Texts<'a> = Spanned<Vec<Spanned<&'a str>>>;

/// The list of texts in the field `name`, none of them twice.
pub fn texts<'a>(reader: &mut MappingReader<'a>, name: &'static str) -> Option<Texts<'a>> {
    let problems = reader.problems();
    let nodes = reader.sequence(name)?;
    let items: Vec<_> =
        nodes.value.iter().filter_map(|node| reader::text(name, node, problems)).collect();
    // Not an empty list, but one of which nothing could be read.
    if items.is_empty() && !nodes.value.is_empty() {
        return None;
    }
    Some(Spanned { value: distinct(items, name, problems), span: nodes.span })
}

/// `items` without those that stand there a second time, which are errors.
pub fn distinct<'a>(
    items: Vec<Spanned<&'a str>>,
    name: &str,
    problems: &Problems,
) -> Vec<Spanned<&'a str>> {
    let mut first = HashMap::new();
    items
        .into_iter()
        .filter(|item| match first.get(item.value) {
            Some(place) => {
                let message = format!("`{}` is in `{name}` twice", item.value);
                problems.push(
                    Problem::error(item.span.clone(), message)
                        .related(std::ops::Range::clone(place), "first here")
                        .help("remove one of the two"),
                );
                false
            }
            None => {
                first.insert(item.value, item.span.clone());
                true
            }
        })
        .collect()
}

/// The file that the field `name` names. It is listed in `scope`.
pub fn file(
    reader: &mut MappingReader<'_>,
    name: &'static str,
    scope: &Scope<'_>,
) -> Option<Spanned<std::path::PathBuf>> {
    let path = reader.parsed(name, |text| match text {
        "" => Err(format!("`{name}` names no file")),
        text if text.contains('\0') => Err(format!("`{name}` has a NUL byte in its path")),
        text => Ok(scope.directory.join(text)),
    })?;
    scope.files.borrow_mut().push(NamedFile {
        path: path.value.clone(),
        field: name,
        span: path.span.clone(),
    });
    Some(path)
}

/// `strict` or `permissive`.
pub fn listener_mode(text: &str) -> Result<ListenerMode, String> {
    match text {
        "strict" => Ok(ListenerMode::Strict),
        "permissive" => Ok(ListenerMode::Permissive),
        _ => Err(format!("{text:?} is no mode of a listener; write strict or permissive")),
    }
}

/// A user or group: a number, or a name such as `/etc/passwd` may have.
pub fn account(text: &str) -> Result<Account, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // The last number means "leave as it is" to chown(2).
        return match text.parse() {
            Ok(id) if id < u32::MAX => Ok(Account::Id(id)),
            _ => Err(format!("{text} is too large for a user or group number")),
        };
    }
    let fits = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, ':' | '/' | ',');
    if text.is_empty() || text.starts_with(['-', '+']) || !text.chars().all(fits) {
        return Err(format!("{text:?} is no name of a user or group"));
    }
    Ok(Account::Name(text.to_owned()))
}

/// The permission bits of a key file, in octal: its owner can read it, its group may, others and
/// execution are out of the question.
pub fn file_mode(text: &str) -> Result<u32, String> {
    let octal = (3..=4).contains(&text.len()) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    let mode = octal.then(|| u32::from_str_radix(text, 8).ok()).flatten();
    let Some(mode) = mode else {
        return Err(format!("{text:?} is no file mode; write three or four octal digits, as 0640"));
    };
    let refused = if mode & 0o007 != 0 {
        "would open the private key to every user"
    } else if mode & 0o7110 != 0 {
        "has bits other than reading and writing"
    } else if mode & 0o400 == 0 {
        "keeps the owner from reading the key"
    } else {
        return Ok(mode);
    };
    Err(format!("the mode {text} {refused}; use 0600, 0640 or 0660"))
}

/// An attribute of a subject: at least one character, at most `most`, none of them a control
/// character (RFC 5280 appendix A.1 has the bounds).
pub fn attribute(most: usize) -> impl Fn(&str) -> Result<String, String> {
    move |text| {
        let length = text.chars().count();
        if text.trim().is_empty() {
            Err("an attribute of a subject cannot be blank; leave it out".to_owned())
        } else if length > most {
            Err(format!("this is {length} characters long; a certificate takes {most} here"))
        } else if text.chars().any(char::is_control) {
            Err("an attribute of a subject cannot have control characters".to_owned())
        } else {
            Ok(text.to_owned())
        }
    }
}

/// Two upper-case letters (ISO 3166).
pub fn country(text: &str) -> Result<String, String> {
    if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Ok(text.to_owned());
    }
    Err(format!("{text:?} is no country; write its two upper-case letters, as DE or US"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_never_open_to_all() {
        for (text, mode) in [("0600", 0o600), ("640", 0o640), ("0660", 0o660), ("0400", 0o400)] {
            assert_eq!(file_mode(text), Ok(mode), "{text}");
        }
        for (text, reason) in [
            ("0644", "to every user"),
            ("0602", "to every user"),
            ("0601", "to every user"),
            ("0700", "other than reading and writing"),
            ("0610", "other than reading and writing"),
            ("4600", "other than reading and writing"),
            ("1600", "other than reading and writing"),
            ("0060", "keeps the owner from reading"),
            ("0680", "no file mode"),
            ("60", "no file mode"),
            ("00600", "no file mode"),
            ("0o600", "no file mode"),
            ("rw-------", "no file mode"),
            ("", "no file mode"),
        ] {
            let error = file_mode(text).unwrap_err();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }

    #[test]
    fn accounts_are_numbers_or_names() {
        assert_eq!(account("1337"), Ok(Account::Id(1337)));
        assert_eq!(account("0"), Ok(Account::Id(0)));
        assert_eq!(account("envoy"), Ok(Account::Name("envoy".to_owned())));
        for (text, reason) in [
            ("4294967295", "too large"),
            ("99999999999", "too large"),
            ("", "no name"),
            ("a b", "no name"),
            ("a:b", "no name"),
            ("-1", "no name"),
            ("a\u{0}", "no name"),
        ] {
            let error = account(text).unwrap_err();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }
}
