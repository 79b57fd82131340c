//! A tolerant look into a manifest: what is asked for is read and filled in, the rest is left be.

use std::cell::RefCell;
use std::ops::Range;

use indexmap::IndexMap;

use super::super::document::{Node, Spanned, Value};
use super::super::problem::{Problem, Problems};
use super::template::{Lookup, Masked};

/// What reading one manifest needs and collects.
pub struct Reader<'a> {
    pub masked: &'a Masked,
    pub lookup: &'a Lookup<'a>,
    pub problems: &'a Problems,
    /// Where this document begins in its file.
    pub offset: usize,
    /// The variables that are not set, each with its places in this file.
    pub unset: &'a RefCell<IndexMap<String, Vec<usize>>>,
}

/// One value of a manifest.
#[derive(Clone, Copy)]
pub struct View<'a> {
    node: &'a Node,
    reader: &'a Reader<'a>,
}

impl<'a> View<'a> {
    pub fn new(node: &'a Node, reader: &'a Reader<'a>) -> Self {
        Self { node, reader }
    }

    /// Its place in the file, as byte offsets.
    pub fn span(self) -> Range<usize> {
        let offset = self.reader.offset;
        self.node.span.start + offset..self.node.span.end + offset
    }

    /// The field `key`, unless it is missing or empty.
    pub fn get(self, key: &str) -> Option<Self> {
        let Value::Mapping(entries) = &self.node.value else {
            return None;
        };
        let (_, node) = entries.iter().find(|(name, _)| name.value == key)?;
        (node.value != Value::Null).then_some(Self { node, reader: self.reader })
    }

    /// The text as it is written, where it is text.
    pub fn raw(self) -> Option<&'a str> {
        match &self.node.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The value at the end of several fields.
    pub fn at<const N: usize>(self, path: [&str; N]) -> Option<Self> {
        path.into_iter().try_fold(self, Self::get)
    }

    /// A mapping, as far as it is one; anything else is an error.
    pub fn mapping(self, what: &str) -> Option<Self> {
        match self.node.value {
            Value::Mapping(_) => Some(self),
            _ => self.wrong(what, "a mapping"),
        }
    }

    /// The values of a list. Null is an empty one; anything else is an error.
    pub fn items(self, what: &str) -> Vec<Self> {
        match &self.node.value {
            Value::Sequence(nodes) => {
                nodes.iter().map(|node| Self { node, reader: self.reader }).collect()
            }
            Value::Null => Vec::new(),
            _ => self.wrong(what, "a list").unwrap_or_default(),
        }
    }

    /// The text, its variables filled in. [`None`] after an error has been noted.
    pub fn text(self, what: &str) -> Option<Spanned<String>> {
        let Value::Scalar { text, .. } = &self.node.value else {
            return self.wrong(what, "text");
        };
        match self.reader.masked.fill(text, self.reader.lookup) {
            Ok(value) => Some(Spanned { value, span: self.span() }),
            Err(unset) => {
                let mut places = self.reader.unset.borrow_mut();
                for variable in unset {
                    places.entry(variable.0).or_default().push(self.span().start);
                }
                None
            }
        }
    }

    /// The text of the field `key`, where it is there.
    pub fn text_at(self, key: &str) -> Option<Spanned<String>> {
        self.get(key)?.text(key)
    }

    /// A port number.
    pub fn port(self) -> Option<u16> {
        let text = self.text("port")?;
        match text.value.parse() {
            Ok(port) if port > 0 => Some(port),
            _ => {
                let message = format!("the port {:?} is no number from 1 to 65535", text.value);
                self.reader.problems.error(text.span, message)
            }
        }
    }

    /// `true` or `false`.
    pub fn truth(self, what: &str) -> Option<bool> {
        let text = self.text(what)?;
        match text.value.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                let message = format!("`{what}` is {:?}; it is `true` or `false`", text.value);
                self.reader.problems.error(text.span, message)
            }
        }
    }

    /// Notes every field of this mapping that App Mesh has no such field for. They are ignored, as
    /// its controller ignores them.
    pub fn expect(self, what: &str, known: &[&str]) {
        let Value::Mapping(entries) = &self.node.value else {
            return;
        };
        for (key, _) in entries.iter().filter(|(key, _)| !known.contains(&key.value.as_str())) {
            let span = key.span.start + self.reader.offset..key.span.end + self.reader.offset;
            let message = format!("{what} has no field `{}`; ignored", key.value);
            let problems = self.reader.problems;
            let fields = format!("fields of {what}");
            let help = problems.did_you_mean(&key.value, &fields, known.iter().copied());
            problems.push(Problem::note(span, message).maybe_help(help));
        }
    }

    /// Notes something about this value.
    pub fn note(self, message: impl Into<String>) {
        self.reader.problems.push(Problem::note(self.span(), message));
    }

    /// Notes that this value cannot be used.
    pub fn error<T>(self, message: impl Into<String>) -> Option<T> {
        self.reader.problems.error(self.span(), message)
    }

    fn wrong<T>(self, what: &str, expected: &str) -> Option<T> {
        self.error(format!("`{what}` is {}; it must be {expected}", self.node.value.kind()))
    }
}
