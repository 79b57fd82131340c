//! Text that others wrote, made fit for terminals and logs. Knows nothing of where it came from.

/// The text with control characters escaped, and those that hide or turn around what stands beside
/// them. What is printable already comes back as it is.
pub fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_invisible(c) {
            printable.extend(c.escape_default());
        } else {
            printable.push(c);
        }
    }
    printable
}

/// Unicode's line and paragraph separators and its format characters (general category Cf) that a
/// terminal acts upon.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_would_act_upon_a_terminal_is_escaped() {
        assert_eq!(printable("Größe\t\u{1b}[31m"), "Größe\\t\\u{1b}[31m");
        assert_eq!(printable("a\u{202e}b\u{200b}c"), "a\\u{202e}b\\u{200b}c");
    }
}
