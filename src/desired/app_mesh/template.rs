//! `${VAR}` in manifests: filled in after YAML was read, value by value.
//!
//! A value therefore stays the one scalar that it stands in, whatever it contains; a variable that
//! stands in nothing we read need not be set; and every place in the text stays what it was.

/// What a template's variables stand for.
pub type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// A template made fit for a YAML reader: each `${...}` has other brackets of the same length,
/// which mean nothing to YAML, so that it may also stand within `[...]` and `{...}`.
pub struct Masked {
    /// The text, as long as the original and with every line where it was.
    pub text: String,
    open: char,
    close: char,
}

/// A variable that nobody set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unset(pub String);

impl Masked {
    /// Brackets that YAML gives no meaning within a plain scalar; the first pair is taken that
    /// the text does not use after a `$` itself.
    const BRACKETS: [(char, char); 4] = [('<', '>'), ('(', ')'), ('^', '^'), ('+', '+')];

    /// Masks a template.
    pub fn new(source: &str) -> Self {
        let (open, close) = Self::BRACKETS
            .into_iter()
            .find(|(open, _)| !source.contains(&format!("${open}")))
            .unwrap_or(Self::BRACKETS[0]);
        let mut text = String::with_capacity(source.len());
        let mut rest = source;
        while let Some(at) = rest.find("${") {
            let (before, reference) = rest.split_at(at);
            text.push_str(before);
            match reference[2..].find(['}', '\n']) {
                Some(end)
                    if reference[2 + end..].starts_with('}')
                        && is_named(&reference[2..2 + end]) =>
                {
                    text.push('$');
                    text.push(open);
                    text.push_str(&reference[2..2 + end]);
                    text.push(close);
                    rest = &reference[3 + end..];
                }
                _ => {
                    text.push_str("${");
                    rest = &reference[2..];
                }
            }
        }
        text.push_str(rest);
        Self { text, open, close }
    }

    /// The scalar `text` of the masked template with its variables filled in: `${VAR}`, `$VAR`,
    /// and the shell's `${VAR:-default}` and `${VAR-default}`. A `$` before anything else stays.
    ///
    /// # Errors
    /// Every variable that is not set and has no default.
    pub fn fill(&self, text: &str, lookup: &Lookup<'_>) -> Result<String, Vec<Unset>> {
        let mut filled = String::with_capacity(text.len());
        let mut unset = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            let (before, reference) = rest.split_at(at);
            filled.push_str(before);
            let after = &reference[1..];
            let bracketed = after.strip_prefix(self.open).and_then(|inner| {
                let (inner, after) = inner.split_once(self.close)?;
                is_named(inner).then_some((inner, after))
            });
            let (inner, after) = match bracketed {
                Some(found) => found,
                None => after.split_at(name_length(after)),
            };
            rest = after;
            if inner.is_empty() {
                filled.push('$');
                continue;
            }
            let (name, default) = inner.split_at(name_length(inner));
            let value = lookup(name);
            let value = match (default.strip_prefix(":-"), default.strip_prefix('-')) {
                (Some(default), _) => {
                    value.filter(|value| !value.is_empty()).or_else(|| Some(default.to_owned()))
                }
                (_, Some(default)) => value.or_else(|| Some(default.to_owned())),
                _ => value,
            };
            match value {
                Some(value) => filled.push_str(&value),
                None => unset.push(Unset(name.to_owned())),
            }
        }
        filled.push_str(rest);
        if unset.is_empty() { Ok(filled) } else { Err(unset) }
    }
}

/// Whether the inside of a `${...}` is a reference: a name, and perhaps a default.
fn is_named(inner: &str) -> bool {
    let rest = &inner[name_length(inner)..];
    rest.len() < inner.len() && (rest.is_empty() || rest.starts_with('-') || rest.starts_with(":-"))
}

/// How many bytes at the beginning are a variable's name (POSIX.1 section 3.216).
fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(source: &str) -> Result<String, Vec<Unset>> {
        let masked = Masked::new(source);
        assert_eq!(masked.text.len(), source.len(), "masking moves nothing");
        masked.fill(&masked.text, &|name| match name {
            "A" => Some("alpha".into()),
            "B_2" => Some("beta".into()),
            "EMPTY" => Some(String::new()),
            "HOSTILE" => Some("x\n  tls: {mode: DISABLED}".into()),
            "NESTED" => Some("${A}".into()),
            _ => None,
        })
    }

    #[test]
    fn variables_are_filled_in_as_a_shell_would() {
        for (source, filled) in [
            ("plain", "plain"),
            ("${A}", "alpha"),
            ("$A.$B_2/", "alpha.beta/"),
            ("x-${A}${B_2}-y", "x-alphabeta-y"),
            ("${NONE:-none}", "none"),
            ("${EMPTY:-none}|${EMPTY-none}|${NONE-none}|${A:-none}", "none||none|alpha"),
            ("$ 5$", "$ 5$"),
            ("${}", "${}"),
            ("${A", "${A"),
            ("${1}", "${1}"),
            ("$(A) ${A}", "$(A) alpha"),
            ("$<A> ${A}", "$<A> alpha"),
            // A value is never read again.
            ("${NESTED}", "${A}"),
            ("${HOSTILE}", "x\n  tls: {mode: DISABLED}"),
        ] {
            assert_eq!(fill(source).as_deref(), Ok(filled), "{source}");
        }
    }

    #[test]
    fn every_unset_variable_is_named() {
        let names = |source| fill(source).unwrap_err().into_iter().map(|u| u.0).collect::<Vec<_>>();
        assert_eq!(names("${NONE} $A $OTHER"), ["NONE", "OTHER"]);
    }
}
