use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::identity::NodeName;
use crate::snapshot::Generation;

fn name(text: &str) -> NodeName {
    NodeName::parse(text).unwrap()
}

fn leaf(node: &str, generation: Generation) -> Aspect {
    Aspect { part: Part::Leaf(name(node)), generation }
}

fn who(node_id: &str, caller: &str) -> RecipientView {
    RecipientView { node_id: node_id.into(), caller: caller.into(), ..Default::default() }
}

/// Who is away, and what each has accepted: node ids and generations.
fn standings(board: &Deliveries) -> Vec<(String, bool, Generation)> {
    let mut standings: Vec<_> = board
        .standings()
        .into_iter()
        .map(|one| (one.recipient.node_id, one.away_since.is_some(), one.accepted))
        .collect();
    standings.sort();
    standings
}

/// Serves `front` to somebody, who takes it.
fn served(board: &Deliveries, node_id: &str, caller: &str) -> Recipient {
    let recipient = board.connect(who(node_id, caller));
    recipient.sent("default", "1", &[leaf("front", 1)]);
    recipient.accepted("default");
    recipient
}

#[test]
fn a_lease_ends_with_its_last_holder() {
    let demand = Demand::default();
    let first = demand.wait_for(&name("front"));
    let second = demand.wait_for(&name("front"));
    assert_eq!(demand.awaited(), [name("front")]);
    drop(first);
    assert!(demand.is_awaited(&name("front")) && !demand.is_awaited(&name("blue")));
    drop(second);
    assert!(!demand.is_awaited(&name("front")) && demand.awaited().is_empty());
}

#[tokio::test(start_paused = true)]
async fn whoever_reads_a_board_is_told_of_what_happened_while_it_was_busy() {
    let demand = Demand::default();
    let _wait = demand.wait_for(&name("front"));
    let _other = demand.wait_for(&name("blue"));
    demand.changed().await;
    let soon = Duration::from_secs(1);
    assert!(tokio::time::timeout(soon, demand.changed()).await.is_err(), "told twice");

    let board = Deliveries::default();
    let recipient = served(&board, "a", "uid 1");
    board.changed().await;
    assert!(tokio::time::timeout(soon, board.changed()).await.is_err(), "told twice");
    for change in [
        &(|| recipient.rejected("default", "no")) as &dyn Fn(),
        &|| recipient.has_already("default", &[leaf("front", 2)]),
        &|| recipient.unsubscribed("default"),
    ] {
        change();
        tokio::time::timeout(soon, board.changed()).await.unwrap();
    }
    drop(recipient);
    tokio::time::timeout(soon, board.changed()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_acceptance_is_of_what_was_sent_last() {
    let board = Deliveries::default();
    let recipient = board.connect(who("a", "uid 1"));
    recipient.held("default");
    assert!(board.standings().is_empty());
    recipient.sent("default", "1", &[leaf("front", 1)]);
    assert_eq!(standings(&board), [("a".into(), false, 0)]);
    tokio::time::advance(Duration::from_millis(7)).await;
    recipient.accepted("default");
    assert_eq!(standings(&board), [("a".into(), false, 1)]);
    recipient.sent("default", "2", &[leaf("front", 2)]);
    assert_eq!(standings(&board), [("a".into(), false, 1)]);
    recipient.rejected("default", "no");
    assert_eq!(board.standings()[0].rejected.as_deref(), Some("no"));
    let subscription = board.recipients().remove(0).names.remove(0).1;
    assert_eq!(subscription.took, Some(Duration::from_millis(7)));
    assert_eq!(subscription.accepted.as_deref(), Some("1"));
    assert_eq!(subscription.rejected.map(|one| one.version).as_deref(), Some("2"));
    recipient.sent("default", "3", &[leaf("front", 3)]);
    recipient.accepted("default");
    assert_eq!(standings(&board), [("a".into(), false, 3)]);
    assert_eq!(board.standings()[0].rejected, None);
    recipient.has_already("default", &[leaf("front", 5)]);
    assert_eq!(standings(&board), [("a".into(), false, 5)]);
    recipient.unsubscribed("default");
    assert!(board.standings().is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_goes_counts_until_it_is_gone_for_good() {
    let board = Deliveries::default();
    drop(served(&board, "a", "uid 1"));
    // One that was never served has nothing that could be waited for.
    let held = board.connect(who("held", "uid 1"));
    held.held("default");
    drop(held);
    assert_eq!(standings(&board), [("a".into(), true, 1)]);
    assert!(board.recipients().is_empty());
    tokio::time::advance(GONE_AFTER - Duration::from_millis(1)).await;
    drop(served(&board, "b", "uid 1"));
    assert_eq!(standings(&board), [("a".into(), true, 1), ("b".into(), true, 1)]);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(standings(&board), [("b".into(), true, 1)]);
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_takes_the_place_of_what_it_was_name_by_name() {
    let board = Deliveries::default();
    let both = served(&board, "a", "uid 1, pid 1");
    both.sent("ROOTCA", "1", &[leaf("front", 1)]);
    drop(both);
    drop(served(&board, "b", "uid 1, pid 2"));
    let back = served(&board, "a", "uid 1, pid 3");
    let names: Vec<_> = board
        .standings()
        .into_iter()
        .filter(|one| one.recipient.node_id == "a")
        .map(|one| (one.name, one.away_since.is_some()))
        .collect();
    assert!(names.contains(&("default".into(), false)), "{names:?}");
    assert!(names.contains(&("ROOTCA".into(), true)), "{names:?}");
    assert_eq!(names.len(), 2);
    back.sent("ROOTCA", "1", &[leaf("front", 1)]);
    back.accepted("ROOTCA");
    let here = || ("a".into(), false, 1);
    assert_eq!(standings(&board), [here(), here(), ("b".into(), true, 1)]);
}

#[tokio::test(start_paused = true)]
async fn one_who_returns_under_ever_new_names_pushes_out_its_own_alone() {
    let board = Deliveries::default();
    drop(served(&board, "honest", "uid 1, pid 1"));
    for at in 0..MOST_AWAY + 500 {
        drop(served(&board, &at.to_string(), "uid 2, pid 2"));
    }
    let away = standings(&board);
    assert_eq!(away.len(), MOST_AWAY);
    assert!(away.iter().any(|(node_id, ..)| node_id == "honest"));
    // The newest of its own stay.
    assert!(away.iter().any(|(node_id, ..)| *node_id == (MOST_AWAY + 499).to_string()));
    tokio::time::advance(GONE_AFTER).await;
    assert!(board.standings().is_empty());
}

#[derive(Debug, Default)]
struct Told(Mutex<Vec<String>>);

impl Observer for Told {
    fn connected(&self) {
        self.0.lock().unwrap().push("connected".into());
    }

    fn departed(&self) {
        self.0.lock().unwrap().push("departed".into());
    }

    fn accepted(&self, aspects: &[Aspect], took: Duration) {
        let line = format!("accepted {} after {took:?}", aspects[0].part);
        self.0.lock().unwrap().push(line);
    }

    fn rejected(&self, aspects: &[Aspect]) {
        self.0.lock().unwrap().push(format!("rejected {}", aspects[0].part));
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_is_told_of_each_thing_once() {
    let told = Arc::new(Told::default());
    let board = Deliveries::observed(Arc::clone(&told) as Arc<dyn Observer>);
    let recipient = board.connect(who("a", "uid 1"));
    recipient.sent("default", "1", &[leaf("front", 1)]);
    tokio::time::advance(Duration::from_millis(3)).await;
    recipient.accepted("default");
    recipient.sent("default", "2", &[leaf("front", 2)]);
    recipient.rejected("default", "no");
    drop(recipient);
    let told = told.0.lock().unwrap().clone();
    assert_eq!(told, ["connected", "accepted front after 3ms", "rejected front", "departed"]);
}

#[tokio::test(start_paused = true)]
async fn who_is_not_given_the_same_under_the_same_name_is_not_back() {
    let board = Deliveries::default();
    drop(served(&board, "a", "uid 1"));
    // A caller that is granted nothing, or another node, calls itself the same.
    let nothing = board.connect(who("a", "uid 2"));
    nothing.held("default");
    let other = board.connect(who("a", "uid 3"));
    other.sent("default", "1", &[leaf("blue", 1)]);
    other.accepted("default");
    let away = |board: &Deliveries| {
        board.standings().iter().filter(|one| one.away_since.is_some()).count()
    };
    assert_eq!(away(&board), 1);
    let same = board.connect(who("a", "uid 4"));
    same.held("default");
    assert_eq!(away(&board), 1, "not before it is sent anything");
    same.sent("default", "2", &[leaf("front", 2)]);
    assert_eq!(away(&board), 0);
}

#[tokio::test(start_paused = true)]
async fn who_is_back_before_its_end_was_seen_is_not_away() {
    let board = Deliveries::default();
    let before = served(&board, "a", "uid 1");
    before.sent("callers", "1", &[leaf("blue", 1)]);
    let back = served(&board, "a", "uid 1");
    let other = served(&board, "b", "uid 1");
    drop(before);
    let away = |board: &Deliveries| {
        let away = board.standings().into_iter().filter(|one| one.away_since.is_some());
        away.map(|one| (one.recipient.node_id, one.name)).collect::<Vec<_>>()
    };
    assert_eq!(away(&board), [("a".to_owned(), "callers".to_owned())], "it has not asked for that");
    back.sent("callers", "1", &[leaf("blue", 1)]);
    assert_eq!(away(&board), []);
    drop((back, other));
    assert_eq!(away(&board).len(), 3, "both names of one, and one of the other");
}
