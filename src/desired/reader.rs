//! Reads a mapping field by field, remembering what was asked for, so that what nobody asked for
//! can be named.
//!
//! Every reading method puts what is wrong into the [`Problems`] that the reader was given and
//! answers [`None`]; the caller goes on, and the user sees everything in one run.

use std::fmt::Display;
use std::ops::Range;

use super::document::{Node, Spanned, Value};
use super::problem::{Problem, Problems};

/// A cursor over one mapping.
pub struct MappingReader<'a> {
    what: &'static str,
    entries: &'a [(Spanned<String>, Node)],
    span: Range<usize>,
    problems: &'a Problems,
    asked: Vec<&'static str>,
    refused: Vec<&'static str>,
}

impl<'a> MappingReader<'a> {
    /// Reads `node`, which is `what` ("a virtual node"). One that is empty reads as a mapping
    /// without fields.
    pub fn new(node: &'a Node, what: &'static str, problems: &'a Problems) -> Option<Self> {
        let entries = match &node.value {
            Value::Mapping(entries) => entries.as_slice(),
            Value::Null => &[],
            other => {
                let message = format!("{what} must be a mapping, and this is {}", other.kind());
                return problems.error(node.span.clone(), message);
            }
        };
        let span = node.span.clone();
        Some(Self { what, entries, span, problems, asked: Vec::new(), refused: Vec::new() })
    }

    /// The place of the whole mapping.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Where problems go.
    pub fn problems(&self) -> &'a Problems {
        self.problems
    }

    /// The field `name` with its key, if it is there, whatever it holds.
    pub fn field(&mut self, name: &'static str) -> Option<(&'a Spanned<String>, &'a Node)> {
        if !self.asked.contains(&name) {
            self.asked.push(name);
        }
        self.entries.iter().find(|(key, _)| key.value == name).map(|(key, node)| (key, node))
    }

    /// The value of the field `name`, if it is there, whatever it holds.
    pub fn optional(&mut self, name: &'static str) -> Option<&'a Node> {
        self.field(name).map(|(_, node)| node)
    }

    /// Misses the field `name` when it is not there. Whether it holds anything is for the method
    /// that reads it to say.
    pub fn must_have(&mut self, name: &'static str) {
        if self.field(name).is_none() {
            // A long place would bury the line on which the field belongs.
            let at = self.entries.first().map_or(self.span(), |(key, _)| key.span.clone());
            self.problems.push(Problem::error(at, format!("{} needs a field `{name}`", self.what)));
        }
    }

    /// The value of the field `name`, which is missed when it is not there or empty.
    pub fn required(&mut self, name: &'static str) -> Option<&'a Node> {
        self.must_have(name);
        let (key, node) = self.field(name)?;
        filled(&key.value, &key.span, node, self.problems)
    }

    /// Refuses the field `name`, which is known but cannot be used, with `message`.
    pub fn refuse(&mut self, name: &'static str, message: &str) {
        self.refused.push(name);
        if let Some((key, _)) = self.entries.iter().find(|(key, _)| key.value == name) {
            self.problems.push(Problem::error(key.span.clone(), message));
        }
    }

    /// The text of the field `name`.
    pub fn text(&mut self, name: &'static str) -> Option<Spanned<&'a str>> {
        let (key, node) = self.field(name)?;
        text(&key.value, filled(&key.value, &key.span, node, self.problems)?, self.problems)
    }

    /// The text of the field `name`, parsed.
    pub fn parsed<T, E: Display>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<Spanned<T>> {
        let text = self.text(name)?;
        parsed(&text, parse, self.problems)
    }

    /// A reader of the mapping in the field `name`, which is `what`.
    pub fn mapping(&mut self, name: &'static str, what: &'static str) -> Option<Self> {
        Self::new(self.optional(name)?, what, self.problems)
    }

    /// The keys and values of the mapping in the field `name`, whose keys are free; none where the
    /// field is empty.
    pub fn entries(&mut self, name: &'static str) -> Option<&'a [(Spanned<String>, Node)]> {
        let node = self.optional(name)?;
        match &node.value {
            Value::Mapping(entries) => Some(entries),
            Value::Null => Some(&[]),
            other => self.problems.error(
                node.span.clone(),
                format!("`{name}` must be a mapping, and this is {}", other.kind()),
            ),
        }
    }

    /// The items of the list in the field `name`.
    pub fn sequence(&mut self, name: &'static str) -> Option<Spanned<&'a [Node]>> {
        let (key, node) = self.field(name)?;
        sequence(name, filled(&key.value, &key.span, node, self.problems)?, self.problems)
    }

    /// Ends the reading: each field that nobody asked for is an error.
    pub fn finish(self) {
        #[cfg(test)]
        self.problems.fields.borrow_mut().extend(self.asked.iter().map(|name| (self.what, *name)));
        for (key, _) in self.entries {
            if self.asked.iter().chain(&self.refused).any(|name| *name == key.value) {
                continue;
            }
            let message = format!("{} has no field `{}`", self.what, key.value);
            let help =
                self.problems.did_you_mean(&key.value, "known here", self.asked.iter().copied());
            self.problems.push(Problem::error(key.span.clone(), message).maybe_help(help));
        }
    }
}

/// The text of `node`, which is called `name`. Plain text is taken as it is written, so `1.10`
/// and `on` are text too.
pub fn text<'a>(name: &str, node: &'a Node, problems: &Problems) -> Option<Spanned<&'a str>> {
    match &node.value {
        Value::Scalar { text, .. } => Some(Spanned { value: text, span: node.span.clone() }),
        other => {
            let message = format!("`{name}` must be one text, and this is {}", other.kind());
            problems.error(node.span.clone(), message)
        }
    }
}

/// The items of `node`, which is called `name`.
pub fn sequence<'a>(
    name: &str,
    node: &'a Node,
    problems: &Problems,
) -> Option<Spanned<&'a [Node]>> {
    match &node.value {
        Value::Sequence(nodes) => Some(Spanned { value: nodes, span: node.span.clone() }),
        other => {
            let message = format!("`{name}` must be a list, and this is {}", other.kind());
            let help = match other {
                Value::Scalar { text, .. } => format!("write [{text}]"),
                _ => "write [first, second], or one `- item` a line".to_owned(),
            };
            problems.push(Problem::error(node.span.clone(), message).help(help));
            None
        }
    }
}

/// `text` parsed, its error as a problem at its place.
pub fn parsed<T, E: Display>(
    text: &Spanned<&str>,
    parse: impl FnOnce(&str) -> Result<T, E>,
    problems: &Problems,
) -> Option<Spanned<T>> {
    match parse(text.value) {
        Ok(value) => Some(Spanned { value, span: text.span.clone() }),
        Err(error) => problems.error(text.span.clone(), error.to_string()),
    }
}

fn filled<'a>(
    name: &str,
    key: &Range<usize>,
    node: &'a Node,
    problems: &Problems,
) -> Option<&'a Node> {
    if node.value != Value::Null {
        return Some(node);
    }
    problems.push(
        Problem::error(key.clone(), format!("`{name}` is empty"))
            .help("give it a value, or remove it"),
    );
    None
}

#[cfg(test)]
mod tests;
