//! What happened on a stream, onto the board and into the log.

use crate::boards::{Recipient, RecipientView};
use crate::sds::stream::{LONGEST_NAME, Note};
use crate::sds::wire::Node;
use crate::snapshot::Caller;
use crate::x509::printable::printable;

use super::limits::Pace;

/// How much is kept and printed of what a client calls itself, in characters.
const LONGEST_WORDS: usize = 256;

/// How much is kept and printed of why it rejected something, in characters. Envoy's longest texts
/// of this kind quote a few names.
const LONGEST_REASON: usize = 1024;

/// Who is on the other side, in words that can be printed.
pub(super) fn recipient(node: Option<&Node>, caller: &dyn Caller) -> RecipientView {
    let words = |text: &str| words(text, LONGEST_WORDS);
    RecipientView {
        node_id: node.map(|node| words(&node.id)).unwrap_or_default(),
        cluster: node.map(|node| words(&node.cluster)).unwrap_or_default(),
        agent: node.map(|node| words(&node.agent())).unwrap_or_default(),
        caller: caller.in_words(),
        caller_in_short: caller.in_short(),
    }
}

/// Tells the board, and the log what an operator acts on, at the pace of `log`.
pub(super) fn tell(note: Note, recipient: &Recipient, who: &RecipientView, log: &Pace) {
    match note {
        Note::Accepted { name } => recipient.accepted(&name),
        Note::ForeignType { type_url } => {
            if log.take().is_zero() {
                let type_url = words(&type_url, LONGEST_WORDS);
                tracing::warn!(recipient = %who, type_url, "asked for what is no secret; held");
            }
        }
        Note::HasAlready(resource) => recipient.has_already(&resource.name, &resource.aspects),
        Note::Held { name, why } => {
            recipient.held(&name);
            if log.take().is_zero() {
                let (name, why) = (words(&name, LONGEST_WORDS), words(&why, LONGEST_REASON));
                tracing::info!(recipient = %who, name, why, "held: it cannot be served now");
            }
        }
        Note::Rejected { name, version, why } => {
            let why = words(&why, LONGEST_REASON);
            recipient.rejected(&name, &why);
            if log.take().is_zero() {
                let name = words(&name, LONGEST_WORDS);
                tracing::warn!(recipient = %who, name, version, why, "rejected what it was sent");
            }
        }
        Note::Sent(resource) => {
            recipient.sent(&resource.name, &resource.version, &resource.aspects);
        }
        Note::TooLong { length } => {
            if log.take().is_zero() {
                tracing::warn!(
                    recipient = %who,
                    "asked for a name of {length} bytes; held: none is over {LONGEST_NAME}"
                );
            }
        }
        Note::Unsubscribed { name } => recipient.unsubscribed(&name),
    }
}

/// The beginning of a text, without what a terminal acts on.
fn words(text: &str, longest: usize) -> String {
    let end = text.char_indices().nth(longest).map_or(text.len(), |(at, _)| at);
    printable(&text[..end])
}
