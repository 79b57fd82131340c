//! What is refused or warned about, each with its place, its words and its help.

use super::told;

mod attest;
mod authorities;
mod frame;
mod nodes;
mod whole;

/// Reads `head` with each body after it. `LONG100` and the like stand for so many letters.
fn told_for_each(head: &str, cases: &[(&str, &[&str])]) {
    let long = |text: &str| {
        [100, 150, 300].into_iter().fold(text.to_owned(), |text, length| {
            text.replace(&format!("LONG{length}"), &"x".repeat(length))
        })
    };
    for (body, expected) in cases {
        let expected: Vec<_> = expected.iter().map(|line| long(line)).collect();
        assert_eq!(told(&long(&format!("{head}{body}"))), expected, "{head}{body}");
    }
}
