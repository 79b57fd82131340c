//! Who is connected, from the board of deliveries: one entry for each Envoy, whatever the number of
//! its streams.

use std::collections::HashMap;
use std::time::Duration;

use crate::boards::{Connected, Subscription};
use crate::status::{Recipient, Secret, SecretState};

/// Streams that call themselves the same and come from the same caller are of one recipient.
pub(super) fn recipients(streams: &[Connected]) -> Vec<Recipient> {
    let mut places = HashMap::new();
    let mut recipients: Vec<Recipient> = Vec::new();
    for stream in streams {
        let who = &stream.who;
        let key = (&who.node_id, &who.cluster, &who.agent, &who.caller);
        let place = *places.entry(key).or_insert_with(|| {
            recipients.push(Recipient {
                node_id: who.node_id.clone(),
                cluster: who.cluster.clone(),
                agent: who.agent.clone(),
                caller: who.caller.clone(),
                caller_in_short: who.caller_in_short.clone(),
                ..Recipient::default()
            });
            recipients.len() - 1
        });
        let recipient = &mut recipients[place];
        recipient.streams += 1;
        recipient.connected_seconds =
            recipient.connected_seconds.max(stream.since.elapsed().as_secs());
        let secrets = stream.names.iter().map(|(name, subscription)| secret(name, subscription));
        recipient.secrets.extend(secrets);
    }
    for recipient in &mut recipients {
        // One name asked for on several streams is one, and as far as the last of them.
        recipient.secrets.sort_by(|one, other| {
            let lag = |secret: &Secret| secret.lag_seconds.unwrap_or_default();
            (&one.name, one.state)
                .cmp(&(&other.name, other.state))
                .then_with(|| lag(other).total_cmp(&lag(one)))
        });
        recipient.secrets.dedup_by(|one, other| one.name == other.name);
    }
    recipients
}

fn secret(name: &str, subscription: &Subscription) -> Secret {
    let state = match subscription {
        Subscription { rejected: Some(_), .. } => SecretState::Rejected,
        Subscription { withdrawn: true, .. } => SecretState::Withdrawn,
        Subscription { sent: None, .. } => SecretState::Held,
        Subscription { sent, accepted, .. } if sent == accepted => SecretState::Accepted,
        _ => SecretState::Sent,
    };
    let seconds = |lasted: Duration| lasted.as_secs_f64();
    Secret {
        name: name.to_owned(),
        state,
        sent: subscription.sent.clone(),
        accepted: subscription.accepted.clone(),
        took_milliseconds: subscription.took.map(|took| seconds(took) * 1_000.0),
        lag_seconds: match state {
            SecretState::Sent => subscription.sent_at.map(|at| seconds(at.elapsed())),
            _ => None,
        },
        rejected: subscription.rejected.as_ref().map(|rejection| rejection.why.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boards::{Deliveries, RecipientView};

    #[test]
    fn a_name_on_two_streams_of_one_envoy_is_shown_once_as_far_as_the_last_of_them() {
        let board = Deliveries::default();
        let streams = [(); 3].map(|()| board.connect(RecipientView::default()));
        for stream in &streams {
            stream.sent("ROOTCA", "v1", &[]);
            stream.accepted("ROOTCA");
        }
        streams[1].sent("ROOTCA", "v2", &[]);
        streams[0].sent("front", "v1", &[]);
        let [envoy] = &recipients(&board.recipients())[..] else { panic!("one Envoy") };
        let secrets = envoy.secrets.iter().map(|secret| (secret.name.as_str(), secret.state));
        let expected = [("ROOTCA", SecretState::Sent), ("front", SecretState::Sent)];
        assert_eq!(secrets.collect::<Vec<_>>(), expected);
        assert_eq!(envoy.secrets[0].sent.as_deref(), Some("v2"));
    }

    #[test]
    fn what_is_served_no_more_is_shown_as_that_until_it_is_served_again() {
        let board = Deliveries::default();
        let stream = board.connect(RecipientView::default());
        let state = || {
            let secret = &recipients(&board.recipients())[0].secrets[0];
            (secret.state, secret.accepted.clone())
        };
        stream.held("front");
        assert_eq!(state().0, SecretState::Held);
        stream.sent("front", "v1", &[]);
        stream.held("front");
        stream.accepted("front");
        assert_eq!(state(), (SecretState::Withdrawn, Some("v1".to_owned())));
        stream.has_already("front", &[]);
        assert_eq!(state().0, SecretState::Accepted);
        stream.held("front");
        stream.sent("front", "v2", &[]);
        assert_eq!(state(), (SecretState::Sent, Some("v1".to_owned())));
    }

    #[tokio::test(start_paused = true)]
    async fn the_streams_of_one_envoy_are_one_recipient() {
        let board = Deliveries::default();
        let who = |node_id: &str, caller: &str| RecipientView {
            node_id: node_id.to_owned(),
            caller: caller.to_owned(),
            ..RecipientView::default()
        };
        let first = board.connect(who("envoy", "pid 1"));
        let second = board.connect(who("envoy", "pid 1"));
        let _other = board.connect(who("envoy", "pid 2"));
        first.sent("front", "v1", &[]);
        first.accepted("front");
        first.held("later");
        second.sent("default", "v1", &[]);
        second.rejected("default", "no");
        tokio::time::advance(Duration::from_secs(2)).await;
        first.sent("front", "v2", &[]);
        tokio::time::advance(Duration::from_millis(1_500)).await;
        let found = recipients(&board.recipients());
        assert_eq!(found.len(), 2);
        let envoy = &found[0];
        assert_eq!((envoy.streams, envoy.connected_seconds), (2, 3));
        let states: Vec<_> = envoy
            .secrets
            .iter()
            .map(|secret| (secret.name.as_str(), secret.state, secret.lag_seconds))
            .collect();
        assert_eq!(
            states,
            [
                ("default", SecretState::Rejected, None),
                ("front", SecretState::Sent, Some(1.5)),
                ("later", SecretState::Held, None),
            ]
        );
        assert_eq!(envoy.secrets[1].accepted.as_deref(), Some("v1"));
        assert_eq!(found[1].caller, "pid 2");
    }
}
