//! Who is known to have what: the board's word, time where nobody answers, and those who were
//! there before a restart.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::report::{Standing, Waited, Waiting};
use super::{Audience, Facts};
use crate::boards::{Delivery, GONE_AFTER, Part};
use crate::snapshot::Generation;
use crate::time::{OffsetDateTime, later};

/// Somebody who takes something by a name; remembered over a restart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Known {
    pub(super) part: Part,
    pub(super) node_id: String,
    pub(super) cluster: String,
    pub(super) name: String,
}

impl Known {
    fn of(delivery: &Delivery) -> Self {
        Self {
            part: delivery.part.clone(),
            node_id: delivery.recipient.node_id.clone(),
            cluster: delivery.recipient.cluster.clone(),
            name: delivery.name.clone(),
        }
    }
}

/// Somebody who takes something by a name, or may come back to it.
pub(super) struct Taker<'a> {
    /// What it calls itself: `node.id` and `node.cluster`.
    pub(super) key: (&'a str, &'a str),
    /// Who, in words.
    pub(super) who: &'a dyn fmt::Display,
    pub(super) part: &'a Part,
    pub(super) name: &'a str,
    /// When it counts as gone, if it is away.
    pub(super) until: Option<OffsetDateTime>,
}

/// Those who may come back after a restart.
#[derive(Debug, Default)]
pub(super) enum Returning {
    /// There was nobody before.
    #[default]
    Nobody,
    /// It is not known who.
    Anybody,
    /// These and no others.
    These(BTreeSet<Known>),
}

/// What is known at one moment.
pub(super) struct Evidence<'a> {
    standings: HashMap<&'a Part, Vec<&'a Delivery>>,
    returning: HashMap<&'a Part, Vec<&'a Known>>,
    is_anybody_returning: bool,
    returned_by: OffsetDateTime,
    now: OffsetDateTime,
    instant: Instant,
    soak: Duration,
}

impl<'a> Evidence<'a> {
    /// `returning` are those who may come back until the moment beside. Where nothing moves nobody
    /// will ask, and nothing is gathered.
    pub(super) fn new(
        facts: &'a Facts<'_>,
        is_busy: bool,
        (returning, returned_by): (&'a Returning, OffsetDateTime),
        now: OffsetDateTime,
    ) -> Self {
        let mut standings: HashMap<_, Vec<_>> = HashMap::new();
        for delivery in facts.standings.iter().filter(|_| is_busy) {
            standings.entry(&delivery.part).or_default().push(delivery);
        }
        let mut this = Self {
            standings,
            returning: HashMap::new(),
            is_anybody_returning: matches!(returning, Returning::Anybody) && now < returned_by,
            returned_by,
            now,
            instant: facts.instant,
            soak: facts.soak,
        };
        if let Returning::These(all) = returning
            && now < returned_by
        {
            for known in all {
                this.returning.entry(&known.part).or_default().push(known);
            }
        }
        this
    }

    /// Whose word is still missing that `part`, as of `generation`, has arrived.
    /// `since` is from when it soaks where nobody answers; none where it did so long ago.
    pub(super) fn missing(
        &self,
        (part, audience): (&Part, Audience),
        generation: Option<Generation>,
        since: Option<OffsetDateTime>,
    ) -> Waiting {
        let mut waiting = Waiting::default();
        let waited = |recipient, name, standing, until| Waited {
            of: part.clone(),
            recipient,
            name,
            standing,
            until,
        };
        let Some(generation) = generation else {
            waiting.add(waited(None, None, Standing::Unpublished, None));
            return waiting;
        };
        let there = self.standings.get(part).map_or(&[][..], Vec::as_slice);
        for delivery in there.iter().filter(|delivery| delivery.accepted < generation) {
            let (standing, until) = match (&delivery.rejected, delivery.away_since) {
                (_, Some(since)) => (Standing::Away, Some(self.gone_at(since))),
                (Some(why), None) => (Standing::Rejected(why.clone()), None),
                (None, None) => (Standing::Pending, None),
            };
            let recipient = Some(delivery.recipient.to_string());
            waiting.add(waited(recipient, Some(delivery.name.clone()), standing, until));
        }
        if audience.answers() {
            let until = Some(self.returned_by);
            if self.is_anybody_returning {
                waiting.add(waited(None, None, Standing::Returning, until));
            }
            let returning = self.returning.get(part).map_or(&[][..], Vec::as_slice);
            for known in returning.iter().filter(|known| !is_there(known, there)) {
                let (who, name) = (known.node_id.clone(), known.name.clone());
                waiting.add(waited(Some(who), Some(name), Standing::Returning, until));
            }
        }
        if audience.soaks()
            && let Some(until) = since.map(|since| later(since, self.soak))
            && self.now < until
        {
            waiting.add(waited(None, None, Standing::Soaking, Some(until)));
        }
        waiting
    }

    /// Everybody who takes anything, or may come back to it.
    pub(super) fn everybody(&self) -> impl Iterator<Item = Taker<'_>> {
        let there = self.standings.values().flatten().map(|delivery| Taker {
            key: (&delivery.recipient.node_id, &delivery.recipient.cluster),
            who: &delivery.recipient,
            part: &delivery.part,
            name: &delivery.name,
            until: delivery.away_since.map(|since| self.gone_at(since)),
        });
        let returning = self.returning.values().flatten().map(|known| Taker {
            key: (&known.node_id, &known.cluster),
            who: &known.node_id,
            part: &known.part,
            name: &known.name,
            until: Some(self.returned_by),
        });
        there.chain(returning)
    }

    /// Those who take anything of anybody, and those who may come back to it.
    pub(super) fn recipients(&self) -> BTreeSet<Known> {
        let there = self.standings.values().flatten().map(|delivery| Known::of(delivery));
        there.chain(self.returning.values().flatten().map(|known| (*known).clone())).collect()
    }

    /// When somebody who went away at that instant counts as gone.
    fn gone_at(&self, away_since: Instant) -> OffsetDateTime {
        let left = GONE_AFTER.saturating_sub(self.instant.saturating_duration_since(away_since));
        // The moment is to the second, and the board has to have forgotten by then.
        later(self.now, left + Duration::from_secs(1))
    }
}

fn is_there(known: &Known, there: &[&Delivery]) -> bool {
    there.iter().any(|delivery| {
        delivery.recipient.node_id == known.node_id
            && delivery.recipient.cluster == known.cluster
            && delivery.name == known.name
    })
}
