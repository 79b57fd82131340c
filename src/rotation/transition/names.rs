//! What is served under the names of authorities: grown and looked at like the ends of nodes.

use super::Transitions;
use super::node::End;
use super::round::Round;

impl Transitions {
    /// Takes the roots that each authority has now. What is gone, and authorities that are, stay
    /// until it is judged.
    pub(super) fn grow_names(&mut self, round: &mut Round<'_>) {
        let mut old = std::mem::take(&mut self.names);
        let known: Vec<_> = self.authorities.keys().cloned().collect();
        let gone: Vec<_> = old.keys().filter(|name| !known.contains(name)).cloned().collect();
        for name in known {
            let wanted = self.wanted_of(round, [&name]);
            let end = old.shift_remove(&name);
            round.changed |= end.is_none();
            let mut end = end.unwrap_or_else(|| {
                let mut end = End::new(wanted.clone());
                if self.is_past_unknown {
                    end.doubt(round.now);
                }
                end
            });
            let is_distrusted = |id| round.distrusted.contains(&id);
            round.changed |= end.want(&wanted, is_distrusted, round.now);
            self.names.insert(name, end);
        }
        for name in gone {
            let Some(mut end) = old.shift_remove(&name) else { continue };
            let nothing = self.wanted_of(round, []);
            let is_distrusted = |id| round.distrusted.contains(&id);
            round.changed |= end.want(&nothing, is_distrusted, round.now);
            self.names.insert(name, end);
        }
    }

    /// Looks at what has been published under the names.
    pub(super) fn observe_names(&mut self, round: &mut Round<'_>) {
        let published = round.facts.published;
        for (name, end) in &mut self.names {
            let Some(anchors) = published.authorities.get(name) else { continue };
            for entering in &mut end.entering {
                let anchor = self.table.anchor(entering.anchor);
                if anchor.is_some_and(|anchor| anchors.as_slice().contains(anchor)) {
                    round.changed |= entering.published_at.is_none();
                    entering.is_published(published.generation, round.now);
                }
            }
        }
    }
}
