//! YAML, line by line, with room for comments.

use std::collections::BTreeSet;

/// Lines at a growing and shrinking indentation.
#[derive(Debug, Default)]
pub(super) struct Yaml {
    text: String,
    depth: usize,
    /// Reasons that were given already.
    told: BTreeSet<String>,
}

impl Yaml {
    /// One line. A text of several lines is written as several, so that parts can be nested.
    pub(super) fn line(&mut self, text: impl AsRef<str>) -> &mut Self {
        for line in text.as_ref().lines() {
            if !line.is_empty() {
                self.text += &"  ".repeat(self.depth);
                self.text += line;
            }
            self.text.push('\n');
        }
        self
    }

    /// Says what follows.
    pub(super) fn comment(&mut self, text: &str) -> &mut Self {
        for line in wrapped(text, 96_usize.saturating_sub(2 * self.depth)) {
            self.line(format!("# {line}"));
        }
        self
    }

    /// Says why what follows is so, the first time that it does.
    pub(super) fn reason(&mut self, text: &str) -> &mut Self {
        if self.told.insert(text.to_owned()) {
            self.comment(text);
        }
        self
    }

    /// What belongs to `head`, one step further in.
    pub(super) fn below(&mut self, head: &str, inside: impl FnOnce(&mut Self)) -> &mut Self {
        self.line(head);
        self.depth += 1;
        inside(self);
        self.depth -= 1;
        self
    }

    /// An item of a list; its first line gets the dash.
    pub(super) fn item(&mut self, inside: impl FnOnce(&mut Self)) -> &mut Self {
        let mut item = Self { told: std::mem::take(&mut self.told), ..Self::default() };
        inside(&mut item);
        self.told = item.told;
        let mut dashed = false;
        for line in item.text.lines() {
            let lead = if dashed || line.starts_with('#') { "  " } else { "- " };
            // A comment above the first key stands above the dash.
            let lead = if !dashed && line.starts_with('#') { "" } else { lead };
            dashed |= lead == "- ";
            self.line(format!("{lead}{line}"));
        }
        self
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }
}

/// A string in double quotes, which YAML reads as JSON does.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
