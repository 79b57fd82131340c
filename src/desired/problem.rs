//! What is wrong with a source, where, and what to do: collected, so that one run shows all of it.
//!
//! What a problem quotes from the source is escaped where a terminal would act upon it. Knows
//! nothing of YAML, of meshes or of how problems are shown.

use std::cell::{Cell, RefCell};
use std::ops::Range;

use crate::x509::printable::printable;

/// The most suggestions for one source: each looks at every known name, and nobody reads
/// thousands.
const MOST_SUGGESTIONS: usize = 100;

/// How bad a [`Problem`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The source cannot be used.
    Error,
    /// The source can be used; it may not do what its author meant.
    Warning,
    /// Worth knowing.
    Note,
}

/// One thing that is wrong at one place of a source text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Where, as byte offsets into the source.
    pub span: Range<usize>,
    /// What is wrong: a sentence without its full stop.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Other places that have to do with it, each with what it is ("first used here").
    pub related: Vec<(Range<usize>, String)>,
}

impl Problem {
    /// A problem for which the source is refused.
    pub fn error(span: Range<usize>, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, span, message.into())
    }

    /// A problem that the author should look at.
    pub fn warning(span: Range<usize>, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, span, message.into())
    }

    /// Something worth knowing.
    pub fn note(span: Range<usize>, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, span, message.into())
    }

    fn new(severity: Severity, span: Range<usize>, message: String) -> Self {
        let message = printable(&message);
        Self { severity, span, message, help: None, related: Vec::new() }
    }

    /// The same, with what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(printable(&help.into()));
        self
    }

    /// The same, with `help` where there is any.
    #[must_use]
    pub fn maybe_help(self, help: Option<String>) -> Self {
        match help {
            Some(help) => self.help(help),
            None => self,
        }
    }

    /// The same, with another place that has to do with it.
    #[must_use]
    pub fn related(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.related.push((span, printable(&label.into())));
        self
    }
}

/// Collects problems; never stops at the first one.
#[derive(Debug, Default)]
pub struct Problems {
    found: RefCell<Vec<Problem>>,
    suggestions: Cell<usize>,
    #[cfg(test)]
    pub(crate) fields: RefCell<std::collections::BTreeSet<(&'static str, &'static str)>>,
}

impl Problems {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn push(&self, problem: Problem) {
        self.found.borrow_mut().push(problem);
    }

    /// Adds an error, and is [`None`]: for `return problems.error(..)` in readers.
    pub fn error<T>(&self, span: Range<usize>, message: impl Into<String>) -> Option<T> {
        self.push(Problem::error(span, message));
        None
    }

    /// [`nearest`] as a question, with `known` listed after it where there are not too many. For
    /// the first hundred mistakes.
    pub fn did_you_mean<'a>(
        &self,
        text: &str,
        kind: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Option<String> {
        let before = self.suggestions.replace(self.suggestions.get() + 1);
        if before < MOST_SUGGESTIONS { did_you_mean(text, kind, known) } else { None }
    }

    /// Whether any of them is an error.
    pub fn has_errors(&self) -> bool {
        self.found.borrow().iter().any(|problem| problem.severity == Severity::Error)
    }

    /// All of them in the order of their places, none twice: what an alias repeats is said once.
    pub fn into_vec(self) -> Vec<Problem> {
        let mut found = self.found.into_inner();
        found.sort_by(|a, b| {
            (a.span.start, a.span.end, a.severity, &a.message).cmp(&(
                b.span.start,
                b.span.end,
                b.severity,
                &b.message,
            ))
        });
        found.dedup();
        found
    }
}

/// The line and column of the byte at `offset`, both from 1; columns count characters.
pub fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    (line, before.rsplit('\n').next().unwrap_or_default().chars().count() + 1)
}

/// The one of `known` that `text` was probably meant to be.
pub fn nearest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = text.to_lowercase();
    known
        .into_iter()
        .filter(|name| name.len().abs_diff(text.len()) <= 4)
        .map(|name| (strsim::damerau_levenshtein(&wanted, &name.to_lowercase()), name))
        .filter(|(distance, name)| {
            *distance <= (wanted.chars().count().max(name.chars().count()) / 3).min(4)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// The help for `text`, which is none of `known`: the nearest of them, and all where they are few.
/// Where mistakes may come by the thousand, ask [`Problems::did_you_mean`].
pub fn did_you_mean<'a>(
    text: &str,
    kind: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let known: Vec<_> = known.into_iter().collect();
    let listed =
        (!known.is_empty() && known.len() <= 16).then(|| format!("{kind}: {}", known.join(", ")));
    match (nearest(text, known.iter().copied()), listed) {
        (Some(near), Some(listed)) => Some(format!("did you mean `{near}`? ({listed})")),
        (Some(near), None) => Some(format!("did you mean `{near}`?")),
        (None, listed) => listed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        let known = ["trust", "trustDomain", "dnsNames", "ca_1"];
        for (text, near) in [
            ("trsut", Some("trust")),
            ("dns_names", Some("dnsNames")),
            ("DNSNAMES", Some("dnsNames")),
            ("ca1", Some("ca_1")),
            ("b", None),
            ("authority", None),
            ("", None),
        ] {
            assert_eq!(nearest(text, known), near, "{text:?}");
        }
        assert_eq!(did_you_mean("x", "known here", []), None);
        assert_eq!(did_you_mean("zzz", "known here", ["a"]).unwrap(), "known here: a");
    }

    #[test]
    fn what_a_terminal_would_act_upon_is_escaped() {
        let problem = Problem::error(0..1, "no field `\u{1b}[2J`").help("\u{202e}");
        assert_eq!(problem.message, "no field `\\u{1b}[2J`");
        assert_eq!(problem.help.as_deref(), Some("\\u{202e}"));
    }

    #[test]
    fn suggestions_end_where_nobody_reads_them() {
        let problems = Problems::new();
        let suggested = || problems.did_you_mean("ca1", "authorities", ["ca_1"]).is_some();
        assert_eq!((0..1_000).filter(|_| suggested()).count(), MOST_SUGGESTIONS);
    }

    #[test]
    fn problems_come_in_the_order_of_their_places_and_once() {
        let problems = Problems::new();
        problems.push(Problem::note(7..8, "later"));
        assert!(!problems.has_errors());
        assert_eq!(problems.error::<()>(1..2, "earlier"), None);
        problems.push(Problem::error(1..2, "earlier"));
        assert!(problems.has_errors());
        let messages: Vec<_> = problems.into_vec().into_iter().map(|p| p.message).collect();
        assert_eq!(messages, ["earlier", "later"]);
    }
}
