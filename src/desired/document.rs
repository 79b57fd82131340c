//! A YAML text as a tree in which every value knows its place.
//!
//! Scalars stay the text that they are, with a mark for those in quotes: nothing here turns `on`
//! into a truth value, `1.10` into a number or `0777` into another one (YAML 1.2 section 10.3).
//! Anchors, aliases and merge keys are followed within a budget; the size, depth and number of
//! values are bounded; duplicate keys are errors. Knows nothing of what the values mean.

mod build;

use std::ops::Range;
use std::str;

use saphyr_parser::{Marker, Parser, ScanError};

use super::problem::{Problem, Problems};
use build::Builder;

/// The largest text that is read, in bytes.
pub const MAX_BYTES: usize = 16 << 20;
/// The most values in one text, those that aliases repeat included.
pub const MAX_NODES: usize = 1_000_000;
/// The deepest nesting.
pub const MAX_DEPTH: usize = 64;

/// One document of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its one value.
    pub root: Node,
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Its place, as byte offsets into the source. What an alias stands for keeps the place of its
    /// anchor, where it would have to be changed. Empty for a value that is not written.
    pub span: Range<usize>,
}

/// What is written at a place.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// Anything that is not a list or a mapping.
    Scalar {
        /// The text, quotes and escapes taken away.
        text: String,
        /// Whether it was marked as text: in quotes, as a block, or with `!!str`.
        quoted: bool,
    },
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in the order of the text, each key once.
    Mapping(Vec<(Spanned<String>, Node)>),
}

/// Something that was read, and its place as byte offsets into the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// What was read.
    pub value: T,
    /// Its place.
    pub span: Range<usize>,
}

impl Value {
    /// What it is, in words, for "... is a list".
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "empty",
            Self::Scalar { .. } => "a single value",
            Self::Sequence(_) => "a list",
            Self::Mapping(_) => "a mapping",
        }
    }
}

/// The text of a file.
///
/// # Errors
/// When it is larger than [`MAX_BYTES`] or not UTF-8.
pub fn decode(bytes: &[u8]) -> Result<&str, Problem> {
    within_size(bytes.len())?;
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(Problem::error(0..0, "the file is UTF-16, not UTF-8").help("save it in UTF-8"));
    }
    str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        Problem::error(at..at, format!("the file is not UTF-8: byte {at} begins no character"))
            .help("save it in UTF-8")
    })
}

/// Reads every document of `source`; a byte order mark before the first one is ignored. Documents
/// without content are left out.
///
/// What is wrong goes to `problems`. The answer is [`None`] where the text is not YAML or is too
/// large; duplicate keys alone leave a tree (with the first of each) that can be read on.
pub fn parse_documents(source: &str, problems: &Problems) -> Option<Vec<Document>> {
    documents(source, problems).map_err(|problem| problems.push(problem)).ok()
}

fn documents(source: &str, problems: &Problems) -> Result<Vec<Document>, Problem> {
    within_size(source.len())?;
    if let Some(at) = source.find('\0') {
        return Err(Problem::error(
            at..at + 1,
            "the text has a NUL byte, which YAML does not allow",
        ));
    }
    let start = if source.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let places = Places::of(source, start);
    let mut builder = Builder::new(source, &places, problems);
    for event in Parser::new_from_str(&source[start..]) {
        let (event, span) = event.map_err(|error| {
            builder.explain(syntax_error(source, places.at(error.marker()), &error))
        })?;
        builder.event(event, span)?;
    }
    Ok(builder.documents)
}

fn within_size(length: usize) -> Result<(), Problem> {
    if length <= MAX_BYTES {
        return Ok(());
    }
    let most = MAX_BYTES >> 20;
    Err(Problem::error(0..0, format!("the file is longer than {most} MiB, and no more is read")))
}

/// The parser's complaint, with what usually helps.
fn syntax_error(source: &str, at: usize, error: &ScanError) -> Problem {
    let line = source[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line_text = source[line..].lines().next().unwrap_or_default();
    let indent = line_text.len() - line_text.trim_start_matches(' ').len();
    if line_text[indent..].starts_with('\t') {
        let tab = line + indent;
        return Problem::error(tab..tab + 1, "this is not YAML: a line is indented with a tab")
            .help("indent with spaces");
    }
    // An empty place shows nothing: take the character there, if the line has one.
    let width = source[at..].chars().next().filter(|c| !c.is_control()).map_or(0, char::len_utf8);
    let help = if line_text.contains(":\t") {
        Some("put a space after `:`, not a tab")
    } else if error.info().contains("mapping values are not allowed") {
        Some("put a text that contains `: ` into quotes, or check the indentation")
    } else if error.info().contains("unknown anchor") {
        Some("define it with `&name` earlier in the same document")
    } else if error.info().contains("did not find expected key") {
        Some("check the indentation: keys of one mapping begin in one column")
    } else {
        None
    };
    Problem::error(at..at + width, format!("this is not YAML: {}", error.info()))
        .maybe_help(help.map(str::to_owned))
}

/// From the parser's places, which count characters, to byte offsets.
struct Places<'a> {
    /// The byte offset of every [`Self::STEP`]th character; empty where each character is a byte.
    steps: Vec<usize>,
    start: usize,
    text: &'a str,
}

impl<'a> Places<'a> {
    const STEP: usize = 64;

    fn of(source: &'a str, start: usize) -> Self {
        let text = &source[start..];
        let steps = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().step_by(Self::STEP).map(|(at, _)| at).collect()
        };
        Self { steps, start, text }
    }

    /// The byte offset in the whole source; never beyond its end, always between two characters.
    fn at(&self, marker: &Marker) -> usize {
        let index = marker.index();
        if self.steps.is_empty() {
            return self.start + index.min(self.text.len());
        }
        let Some(step) = self.steps.get(index / Self::STEP).copied() else {
            return self.start + self.text.len();
        };
        let rest = &self.text[step..];
        let within = rest.char_indices().nth(index % Self::STEP).map_or(rest.len(), |(at, _)| at);
        self.start + step + within
    }
}

#[cfg(test)]
mod tests;
