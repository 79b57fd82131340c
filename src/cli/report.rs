//! Reads the mesh file that a command names, and shows what is wrong with a source: each problem
//! with its file, line and column, the line itself, a mark under the place, and what to do.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use miette::{
    Diagnostic, IntoDiagnostic, LabeledSpan, MietteError, MietteHandler, MietteHandlerOpts,
    MietteSpanContents, Report, SourceCode, SourceSpan, SpanContents, WrapErr, miette,
};

use super::{Console, MeshFileArgument};
use crate::desired::Desired;
use crate::desired::document::MAX_BYTES;
use crate::desired::mesh_file::{MeshFile, MeshFileError};
use crate::desired::problem::{Problem, Severity, place};
use crate::x509::printable::printable;

/// The most problems that are shown at once: who has more mends those first.
const MOST_SHOWN: usize = 20;
/// The width of lines where no terminal says.
const WIDTH: usize = 100;
/// The longest line of a source that is shown whole, and how much of a longer one is shown on
/// either side of a problem's place, in bytes.
const LONGEST_LINE: usize = 400;
const AROUND: usize = 60;

impl Console {
    /// What the mesh file that `argument` names says. Its warnings are told.
    pub(super) fn mesh(&self, argument: &MeshFileArgument) -> Result<Desired, Report> {
        let (file, text) = self.mesh_file(argument)?;
        for warning in show(&argument.path, &text, &file.warnings) {
            self.note(format!("{:?}", Report::new(warning)).trim_end());
        }
        Ok(file.desired)
    }

    /// The whole of the mesh file that `argument` names, and its text.
    pub(super) fn mesh_file(
        &self,
        argument: &MeshFileArgument,
    ) -> Result<(MeshFile, String), Report> {
        let contents = contents(&argument.path)?;
        let file = MeshFile::read(&argument.path, &contents).map_err(refused)?;
        Ok((file, String::from_utf8_lossy(&contents).into_owned()))
    }
}

/// The bytes of the file at `path`, or of standard input where that is `-`: at most one byte more
/// than a source may have, which is enough to refuse it.
pub(super) fn contents(path: &Path) -> Result<Vec<u8>, Report> {
    let mut contents = Vec::new();
    let limit = MAX_BYTES as u64 + 1;
    let read = if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut contents)
    } else {
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut contents))
    };
    match read {
        Ok(_) => Ok(contents),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(absent(path)),
        Err(error) => {
            Err(error).into_diagnostic().wrap_err_with(|| format!("cannot read {}", called(path)))
        }
    }
}

/// There is no mesh file where one was looked for.
pub(super) fn absent(path: &Path) -> Report {
    miette!(help = "name the mesh file with -f FILE", "there is no file {}", called(path))
}

/// `text` with a stand-in of the same length for each character upon which a terminal acts, so
/// that every place stays where it is.
fn harmless(text: &str) -> String {
    let stand_in = |c: char| match c {
        '\n' | '\t' | ' '..='~' => c,
        '\r' => ' ',
        _ if !c.is_control() && printable(c.encode_utf8(&mut [0; 4])).chars().eq([c]) => c,
        _ => ['?', '\u{b7}', '\u{fffd}', '\u{1fbc4}'][c.len_utf8() - 1],
    };
    text.chars().map(stand_in).collect()
}

/// So many things: `1 error`, `2 errors`.
pub(super) fn counted(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

/// How messages name a file: without what a terminal would act upon, and `-` in words.
pub(super) fn called(path: &Path) -> String {
    if path == Path::new("-") {
        "standard input".to_owned()
    } else {
        printable(&path.display().to_string())
    }
}

pub(super) fn refused(error: MeshFileError) -> Report {
    refusal(&error.path, &error.text, &error.problems)
}

/// The error of a source at `path` that has `problems`, all of them shown, errors first.
pub(super) fn refusal(path: &Path, text: &str, problems: &[Problem]) -> Report {
    let errors = problems.iter().filter(|p| p.severity == Severity::Error).count();
    let mut ordered = problems.to_vec();
    ordered.sort_by_key(|problem| problem.severity);
    Report::new(Refusal {
        message: format!("{} has {}", called(path), counted(errors, "error", "errors")),
        left_out: ordered.len().saturating_sub(MOST_SHOWN),
        problems: show(path, text, &ordered),
    })
}

/// `problems` of the source at `path`, ready to be printed: [`MOST_SHOWN`] at most.
pub(super) fn show(path: &Path, text: &str, problems: &[Problem]) -> Vec<Shown> {
    let source = Arc::new(Source { name: called(path), text: harmless(text) });
    let shown = problems.iter().take(MOST_SHOWN);
    shown.map(|problem| Shown { problem: problem.clone(), source: source.clone() }).collect()
}

/// How reports are printed: in colour and with lines drawn on a terminal (no colour with
/// `NO_COLOR`), in plain ASCII elsewhere.
pub(super) fn handler() -> MietteHandler {
    let options = MietteHandlerOpts::new().terminal_links(false).context_lines(1);
    if io::stderr().is_terminal() {
        return options.build();
    }
    options.color(false).unicode(false).width(WIDTH).build()
}

/// A source that cannot be used.
#[derive(Debug)]
struct Refusal {
    message: String,
    problems: Vec<Shown>,
    left_out: usize,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Refusal {}

impl Diagnostic for Refusal {
    fn help(&self) -> Option<Box<dyn fmt::Display + '_>> {
        (self.left_out > 0)
            .then(|| Box::new(format!("{} more are not shown", self.left_out)) as Box<_>)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.problems.iter().map(|problem| problem as &dyn Diagnostic)))
    }
}

/// One problem with the source that it is in.
#[derive(Debug)]
pub(super) struct Shown {
    problem: Problem,
    source: Arc<Source>,
}

/// A source by its name. Of lines that are too long, only what is near a problem's place is shown.
#[derive(Debug)]
struct Source {
    name: String,
    text: String,
}

impl SourceCode for Source {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let whole = self.text.read_span(span, lines_before, lines_after)?;
        let lines = || whole.data().split(|byte| *byte == b'\n');
        let named = |data: &'a [u8], offset: usize, line, column, count| {
            let place = SourceSpan::from((offset, data.len()));
            let name = self.name.clone();
            Box::new(MietteSpanContents::new_named(name, data, place, line, column, count))
        };
        if lines().all(|line| line.len() <= LONGEST_LINE) {
            let (at, count) = (whole.span().offset(), whole.line_count());
            return Ok(named(whole.data(), at, whole.line(), whole.column(), count));
        }
        let text = self.text.as_str();
        let boundary = |at: usize| (at..=text.len()).find(|at| text.is_char_boundary(*at));
        let begin = text[..span.offset()].rfind('\n').map_or(0, |newline| newline + 1);
        let begin = boundary(begin.max(span.offset().saturating_sub(AROUND))).unwrap_or_default();
        let end = text[span.offset()..].find('\n').map_or(text.len(), |end| span.offset() + end);
        let end = boundary(end.min(span.offset() + AROUND)).unwrap_or(text.len());
        let (line, column) = place(text, span.offset());
        // Asked for without its surroundings, it is for the place alone.
        let column = if lines_before + lines_after == 0 { column - 1 } else { 0 };
        Ok(named(&text.as_bytes()[begin..end], begin, line - 1, column, 1))
    }
}

impl Shown {
    /// `span` with a character in it where it has none, so that there is something to mark.
    fn visible(&self, span: &Range<usize>) -> Range<usize> {
        let text = self.source.text.as_str();
        let start = (0..=span.start.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
        let start = start.unwrap_or_default();
        // Of a long place its first line says enough.
        let first_line = text[start..].find('\n').map_or(text.len(), |length| start + length);
        let end = span.end.clamp(start, first_line);
        if end > start {
            return start..end;
        }
        let next = text[start..].chars().next().filter(|c| *c != '\n').map_or(0, char::len_utf8);
        start..start + next
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl Error for Shown {}

impl Diagnostic for Shown {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.problem.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
            Severity::Note => miette::Severity::Advice,
        })
    }

    fn help(&self) -> Option<Box<dyn fmt::Display + '_>> {
        self.problem.help.as_ref().map(|help| Box::new(help) as Box<_>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&*self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let here = if self.problem.related.is_empty() { None } else { Some("here".to_owned()) };
        let place = LabeledSpan::new_primary_with_span(here, self.visible(&self.problem.span));
        let related = self.problem.related.iter().map(|(span, label)| {
            LabeledSpan::new_with_span(Some(label.clone()), self.visible(span))
        });
        Some(Box::new(std::iter::once(place).chain(related)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_shown_without_what_a_terminal_acts_upon() {
        let source = "a: \u{1b}[31m\r\nb\t\u{9b} \u{202e} \u{e0001} é☃\n";
        let shown = harmless(source);
        assert_eq!(shown, "a: ?[31m \nb\t\u{b7} \u{fffd} \u{1fbc4} é☃\n");
        assert_eq!(shown.len(), source.len());
    }
}
