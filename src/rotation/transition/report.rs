//! What an operator sees of a transition, in types and in words.

use std::fmt;

use crate::boards::Part;
use crate::identity::{AuthorityName, NodeName};
use crate::time::{OffsetDateTime, rfc3339};
use crate::x509::printable::printable;

/// Something that moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Whose certificate moves, or whose roots.
    pub of: Part,
    /// What moves.
    pub what: What,
    /// How far it is.
    pub phase: Phase,
    /// Since when this phase waits.
    pub since: OffsetDateTime,
    /// Who or what is waited for: the first few.
    pub waiting: Vec<Waited>,
    /// How many more there are.
    pub more: usize,
    /// When the wait ends in any case, if it does.
    pub until: Option<OffsetDateTime>,
    /// Who was left behind, in words, where a step was taken without waiting to the end.
    pub forced: Option<String>,
}

/// What moves. Roots are called by their authority, or by their subject where the mesh
/// has none for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Its certificate goes from one root to another.
    Authority {
        /// Under which its certificate stands, or may still stand.
        from: String,
        /// Under which it is to stand.
        to: String,
    },
    /// The roots that a node trusts, or that an authority is known by, change.
    Roots {
        /// On their way to it.
        added: Vec<String>,
        /// Not wanted any more, and still needed.
        kept: Vec<String>,
    },
}

/// The phases of a transition, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// New roots go out.
    Spread,
    /// Whoever is to accept the new certificate can: it is made.
    Move,
    /// The new certificate goes out; the old one may still be shown.
    Drain,
    /// Old roots go, once nobody stands under them.
    Drop,
}

/// Somebody or something that is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waited {
    /// What it is about.
    pub of: Part,
    /// Who, in words; none where nobody in particular.
    pub recipient: Option<String>,
    /// The SDS name that it asked by.
    pub name: Option<String>,
    /// How it stands with it.
    pub standing: Standing,
    /// When this wait ends by itself, if it does.
    pub until: Option<OffsetDateTime>,
}

/// Why something is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has not accepted what it was sent.
    Pending,
    /// It would not take it, for this reason.
    Rejected(String),
    /// It checks its peers by the name of authorities among which this one is not: it will never
    /// accept what is to be accepted.
    Fixed {
        /// Where the certificate goes.
        to: AuthorityName,
        /// What would be accepted by that name, and this too.
        instead: String,
    },
    /// It went away and may come back.
    Away,
    /// It was connected before this process began.
    Returning,
    /// Nobody answers: files, or a node that another process serves.
    Soaking,
    /// What it is to have is not published yet.
    Unpublished,
    /// The node's certificate may still stand under the root.
    Under,
    /// Its new authority cannot sign at the moment.
    NoSigner,
}

impl Waited {
    /// A node that may stand under a root.
    pub(super) fn under(node: &NodeName) -> Self {
        let of = Part::Leaf(node.clone());
        Self { of, recipient: None, name: None, standing: Standing::Under, until: None }
    }
}

impl fmt::Display for Waited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, recipient, name, standing, until } = self;
        let who = recipient.as_deref().unwrap_or("whoever was connected");
        // Whoever asks chooses the name, and a part of a path may be anything.
        let asked = name.as_deref().map_or_else(|| "its names".to_owned(), printable);
        let name = match of {
            Part::Leaf(node) | Part::Trust(node) => format!("{asked} of {node}"),
            Part::Roots(authority) => format!("{asked} with the roots of {authority}"),
        };
        match standing {
            Standing::Pending => write!(f, "{who} has not accepted {name} yet"),
            Standing::Rejected(why) => write!(f, "{who} rejected {name}: {why}"),
            Standing::Fixed { to, instead } => {
                write!(
                    f,
                    "{who} checks its peers by the name {asked}, which never has the roots of {to}, \
                     and will refuse {of}: let it ask for {instead}, or for callers, backends \
                     or ROOTCA, which follow the mesh file"
                )
            }
            Standing::Away => write!(f, "{who}, which had {name}, is away"),
            Standing::Returning => {
                write!(f, "{who} had {name} before the restart and is not back yet")
            }
            Standing::Soaking => {
                write!(f, "nobody answers for {of}: time is given to whoever reads it")
            }
            Standing::Unpublished => write!(f, "the new state of {of} is not published yet"),
            Standing::Under => write!(f, "the certificate of {of} may still stand under it"),
            Standing::NoSigner => write!(f, "the new authority of {of} cannot sign now"),
        }?;
        match until {
            Some(until) => write!(f, "; waited for until {}", rfc3339(*until)),
            None => Ok(()),
        }
    }
}

/// Something that an operator should hear of, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What it is about.
    pub of: Part,
    /// A sentence that names it.
    pub text: String,
}

/// Those waited for, the first few by name: a transition may wait for thousands.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    pub(super) first: Vec<Waited>,
    pub(super) count: usize,
    /// When the first of them ends by itself.
    pub(super) until: Option<OffsetDateTime>,
    /// And the last of those that do.
    last: Option<OffsetDateTime>,
    /// How many do not.
    endless: usize,
}

impl Waiting {
    const NAMED: usize = 10;

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn add(&mut self, waited: Waited) {
        self.add_lazily(waited.until, || waited);
    }

    /// Adds one that ends by itself then, and makes no more of it than is named.
    pub(super) fn add_lazily(
        &mut self,
        until: Option<OffsetDateTime>,
        waited: impl FnOnce() -> Waited,
    ) {
        self.count += 1;
        self.until = sooner(self.until, until);
        self.last = later_of(self.last, until);
        self.endless += usize::from(until.is_none());
        if self.first.len() < Self::NAMED {
            self.first.push(waited());
        }
    }

    /// Adds so many that end by nothing but themselves, and makes no more of them than are named.
    pub(super) fn add_many<I>(&mut self, count: usize, of: impl FnOnce() -> I)
    where
        I: Iterator<Item = Waited>,
    {
        self.count += count;
        self.endless += count;
        let room = Self::NAMED - self.first.len();
        self.first.extend(of().take(room));
    }

    pub(super) fn add_all(&mut self, other: &Self) {
        self.count += other.count;
        self.until = sooner(self.until, other.until);
        self.last = later_of(self.last, other.last);
        self.endless += other.endless;
        let room = Self::NAMED - self.first.len();
        self.first.extend(other.first.iter().take(room).cloned());
    }

    /// When all of them have ended by themselves, if they do.
    pub(super) fn ends(&self) -> Option<OffsetDateTime> {
        self.last.filter(|_| self.endless == 0)
    }

    /// When nobody is waited for any more, if that is not longer than until `bound`.
    pub(super) fn ends_by(&self, bound: OffsetDateTime) -> Option<OffsetDateTime> {
        sooner(self.ends(), Some(bound))
    }

    pub(super) fn more(&self) -> usize {
        self.count - self.first.len()
    }

    /// The first few in one line.
    pub(super) fn in_words(&self) -> String {
        let mut words: Vec<_> = self.first.iter().take(3).map(ToString::to_string).collect();
        match self.count.saturating_sub(words.len()) {
            0 => {}
            more => words.push(format!("and {more} more")),
        }
        words.join("; ")
    }
}

pub(super) fn sooner(
    one: Option<OffsetDateTime>,
    other: Option<OffsetDateTime>,
) -> Option<OffsetDateTime> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

pub(super) fn later_of(
    one: Option<OffsetDateTime>,
    other: Option<OffsetDateTime>,
) -> Option<OffsetDateTime> {
    // None is before everything.
    one.max(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_somebody_made_up_acts_upon_no_terminal() {
        let waited = Waited {
            of: Part::Trust(NodeName::parse("front").unwrap()),
            recipient: Some("envoy".to_owned()),
            name: Some("file-root:/\u{1b}[2J/front_trust.pem".to_owned()),
            standing: Standing::Pending,
            until: None,
        };
        let expected = "envoy has not accepted file-root:/\\u{1b}[2J/front_trust.pem of front yet";
        assert_eq!(waited.to_string(), expected);
    }
}
