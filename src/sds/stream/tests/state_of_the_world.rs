use super::*;
use crate::sds::wire::DiscoveryRequest;

fn ask(names: &[&str]) -> DiscoveryRequest {
    DiscoveryRequest {
        resource_names: names.iter().map(|name| (*name).to_owned()).collect(),
        type_url: wire::SECRET_TYPE.into(),
        ..Default::default()
    }
}

fn answer(names: &[&str], nonce: &str) -> DiscoveryRequest {
    DiscoveryRequest { response_nonce: nonce.into(), ..ask(names) }
}

fn reject(names: &[&str], nonce: &str) -> DiscoveryRequest {
    DiscoveryRequest { error_detail: rejection(), ..answer(names, nonce) }
}

/// A stream that asked for these names, and the answer to that.
fn stream(names: &[&str], table: &Table) -> (StateOfTheWorld, Update) {
    let mut stream = StateOfTheWorld::default();
    assert_eq!(stream.request(ask(names)), Ok(vec![]));
    let update = stream.update(table);
    (stream, update)
}

#[test]
fn nothing_is_sent_before_a_request() {
    let update = StateOfTheWorld::default().update(&Table::of(&[("default", "1")]));
    assert!(update.response.is_none() && update.notes.is_empty());
}

#[test]
fn a_first_request_is_answered_even_by_a_nonce_of_an_earlier_stream() {
    let table = Table::of(&[("default", "1")]);
    let (_, update) = stream(&["default"], &table);
    assert_eq!(content(&update), ["default=1"]);
    assert_eq!(update.response.unwrap().version, "1");
    let mut again = StateOfTheWorld::default();
    assert_eq!(again.request(answer(&["default"], "17")), Ok(vec![]));
    assert_eq!(content(&again.update(&table)), ["default=1"]);
}

#[test]
fn an_accepted_answer_brings_no_other() {
    let table = Table::of(&[("default", "1")]);
    let (mut stream, update) = stream(&["default"], &table);
    let answer = answer(&["default"], &nonce(&update));
    assert_eq!(stream.request(answer.clone()), Ok(vec![accepted("default")]));
    assert!(stream.update(&table).response.is_none());
    assert_eq!(stream.request(answer), Ok(vec![]));
    assert!(stream.update(&table).response.is_none());
}

#[test]
fn an_unknown_name_is_held_and_pushed_the_moment_it_appears() {
    let mut table = Table::default();
    let (mut stream, update) = stream(&["default"], &table);
    assert!(update.response.is_none());
    assert_eq!(update.notes, [held("default", "unknown")]);
    assert!(stream.update(&table).notes.is_empty(), "told again");
    table.hold("default");
    let update = stream.update(&table);
    assert_eq!(update.awaits, [NodeName::parse("front").unwrap()]);
    table.set("default", "1");
    let update = stream.update(&table);
    assert_eq!(content(&update), ["default=1"]);
    assert!(update.awaits.is_empty());
}

#[test]
fn a_held_name_disturbs_no_other() {
    let mut table = Table::of(&[("default", "1"), ("ROOTCA", "2")]);
    let (mut stream, update) = stream(&["default", "nonsense", "ROOTCA"], &table);
    assert_eq!(content(&update), ["ROOTCA=2", "default=1"]);
    table.set("default", "3");
    assert_eq!(content(&stream.update(&table)), ["ROOTCA=2", "default=3"]);
}

#[test]
fn a_rejected_version_is_not_sent_again_until_the_content_changes() {
    let mut table = Table::of(&[("default", "1")]);
    let (mut stream, update) = stream(&["default"], &table);
    let nonce_1 = nonce(&update);
    assert_eq!(stream.request(reject(&["default"], &nonce_1)), Ok(vec![rejected("default", "1")]));
    assert!(stream.update(&table).response.is_none());
    // Not told twice, nor taken for accepted later.
    assert_eq!(stream.request(reject(&["default"], &nonce_1)), Ok(vec![]));
    table.set_at("default", "1", 2);
    let update = stream.update(&table);
    assert!(update.response.is_none() && update.notes.is_empty());
    table.set("default", "2");
    let update = stream.update(&table);
    assert_eq!(content(&update), ["default=2"]);
    assert_eq!(
        stream.request(answer(&["default"], &nonce(&update))),
        Ok(vec![accepted("default")])
    );
}

#[test]
fn a_rejected_name_is_left_out_when_another_changes() {
    let mut table = Table::of(&[("bad", "1")]);
    let (mut stream, update) = stream(&["bad", "good"], &table);
    stream.request(reject(&["bad", "good"], &nonce(&update))).unwrap();
    table.set("good", "1");
    let update = stream.update(&table);
    assert_eq!(content(&update), ["good=1"]);
    // And what was accepted before is not blamed for what came with it.
    stream.request(answer(&["bad", "good"], &nonce(&update))).unwrap();
    table.set("bad", "2");
    let update = stream.update(&table);
    assert_eq!(content(&update), ["bad=2", "good=1"]);
    let notes = stream.request(reject(&["bad", "good"], &nonce(&update)));
    assert_eq!(notes, Ok(vec![rejected("bad", "2")]));
}

#[test]
fn a_rejection_is_known_by_its_text_and_not_by_the_version() {
    let table = Table::of(&[("default", "1")]);
    let (mut stream, update) = stream(&["default"], &table);
    let rejection = DiscoveryRequest {
        error_detail: Some(wire::Status::default()),
        ..answer(&["default"], &nonce(&update))
    };
    let notes = stream.request(rejection).unwrap();
    assert!(matches!(&notes[..], [Note::Rejected { why, .. }] if why.is_empty()), "{notes:?}");
}

#[test]
fn newer_content_goes_out_at_once_and_an_answer_to_the_older_counts_for_nothing() {
    let mut table = Table::of(&[("default", "1")]);
    let (mut stream, first) = stream(&["default"], &table);
    table.set("default", "2");
    let second = stream.update(&table);
    assert_eq!(content(&second), ["default=2"]);
    assert_eq!(stream.request(answer(&["default"], &nonce(&first))), Ok(vec![]));
    assert_eq!(stream.request(reject(&["default"], &nonce(&first))), Ok(vec![]));
    assert!(stream.update(&table).response.is_none());
    let notes = stream.request(answer(&["default"], &nonce(&second)));
    assert_eq!(notes, Ok(vec![accepted("default")]));
}

#[test]
fn a_rejection_of_what_another_stream_was_sent_counts_for_nothing() {
    let mut table = Table::of(&[("default", "1")]);
    let (mut other, _) = stream(&["default"], &table);
    let (mut stream, update) = stream(&["default"], &table);
    table.set("default", "2");
    let foreign = nonce(&other.update(&table));
    assert_eq!(stream.request(reject(&["default"], &foreign)), Ok(vec![]));
    let notes = stream.request(answer(&["default"], &nonce(&update)));
    assert_eq!(notes, Ok(vec![accepted("default")]));
    assert_eq!(content(&stream.update(&table)), ["default=2"]);
}

#[test]
fn names_that_came_with_a_stale_nonce_come_again_and_are_not_lost() {
    let mut table = Table::of(&[("a", "1"), ("b", "1")]);
    let (mut stream, first) = stream(&["a"], &table);
    table.set("a", "2");
    let second = stream.update(&table);
    // The client had not seen the second response when it asked for b as well.
    assert_eq!(stream.request(answer(&["a", "b"], &nonce(&first))), Ok(vec![]));
    assert!(stream.update(&table).response.is_none());
    let notes = stream.request(answer(&["a", "b"], &nonce(&second)));
    assert_eq!(notes, Ok(vec![accepted("a")]));
    assert_eq!(content(&stream.update(&table)), ["a=2", "b=1"]);
}

#[test]
fn a_client_that_never_names_a_response_can_still_change_its_names() {
    let table = Table::of(&[("a", "1"), ("b", "1")]);
    let (mut stream, _) = stream(&["a"], &table);
    assert_eq!(stream.request(ask(&["a", "b"])), Ok(vec![]));
    assert_eq!(content(&stream.update(&table)), ["a=1", "b=1"]);
    assert_eq!(stream.request(ask(&["a", "b"])), Ok(vec![]));
    assert!(stream.update(&table).response.is_none());
}

#[test]
fn the_same_content_of_newer_parts_counts_as_accepted_without_being_sent() {
    let mut table = Table::of(&[("default", "1")]);
    let (mut stream, update) = stream(&["default"], &table);
    // Before the answer, nothing is known; with it, for both at once.
    table.set_at("default", "1", 2);
    let silent = stream.update(&table);
    assert!(silent.response.is_none() && silent.notes.is_empty());
    let notes = stream.request(answer(&["default"], &nonce(&update))).unwrap();
    assert_eq!(generations(&notes), [2]);
    assert_eq!(notes[0], accepted("default"));
    // After it, as soon as it is so, and once.
    table.set_at("default", "1", 3);
    let update = stream.update(&table);
    assert!(update.response.is_none());
    assert_eq!(generations(&update.notes), [3]);
    assert!(stream.update(&table).notes.is_empty());
}

/// As of when the recipient is noted to have what there is.
fn generations(notes: &[Note]) -> Vec<u64> {
    let already = notes.iter().filter_map(|note| match note {
        Note::HasAlready(resource) => Some(resource.aspects[0].generation),
        _ => None,
    });
    already.collect()
}

#[test]
fn a_name_that_vanishes_is_not_answered_and_comes_back_as_it_was_without_being_sent() {
    let mut table = Table::of(&[("a", "1"), ("b", "1")]);
    let (mut stream, _) = stream(&["a", "b"], &table);
    table.hold("a");
    let update = stream.update(&table);
    assert!(update.response.is_none());
    assert_eq!(update.notes, [held("a", "not made yet")]);
    table.set("a", "1");
    let update = stream.update(&table);
    assert!(update.response.is_none());
    assert!(matches!(&update.notes[..], [Note::Sent(back)] if back.name == "a"), "{update:?}");
    table.set("a", "2");
    let update = stream.update(&table);
    assert_eq!(content(&update), ["a=2", "b=1"]);
    stream.request(answer(&["a", "b"], &nonce(&update))).unwrap();
    // Once it is accepted, all that there is to say is that it is so again.
    table.hold("a");
    stream.update(&table);
    table.set("a", "2");
    let update = stream.update(&table);
    assert!(update.response.is_none());
    assert!(
        matches!(&update.notes[..], [Note::HasAlready(back)] if back.name == "a"),
        "{update:?}"
    );
    assert!(stream.update(&table).notes.is_empty());
}

#[test]
fn who_asks_for_a_name_again_is_sent_it_again() {
    let table = Table::of(&[("a", "1"), ("b", "1")]);
    let (mut stream, update) = stream(&["a", "b"], &table);
    let nonce = nonce(&update);
    let notes = stream.request(answer(&["a"], &nonce)).unwrap();
    assert!(notes.contains(&Note::Unsubscribed { name: "b".into() }), "{notes:?}");
    assert!(stream.update(&table).response.is_none());
    stream.request(answer(&["a", "b"], &nonce)).unwrap();
    assert_eq!(content(&stream.update(&table)), ["a=1", "b=1"]);
}

#[test]
fn who_asks_for_nothing_after_asking_by_name_gets_nothing() {
    let mut table = Table::of(&[("a", "1")]);
    let (mut stream, update) = stream(&["a"], &table);
    stream.request(answer(&[], &nonce(&update))).unwrap();
    assert!(stream.names().is_empty() && !stream.is_wildcard());
    table.set("a", "2");
    assert!(stream.update(&table).response.is_none());
}

#[test]
fn who_names_nothing_gets_everything() {
    for names in [&[][..], &["*"][..]] {
        let mut table = Table::of(&[("a", "1"), ("b", "1")]);
        let (mut stream, update) = stream(names, &table);
        assert_eq!(content(&update), ["a=1", "b=1"]);
        stream.request(answer(names, &nonce(&update))).unwrap();
        assert!(stream.update(&table).response.is_none());
        table.set("c", "1");
        assert_eq!(content(&stream.update(&table)), ["a=1", "b=1", "c=1"]);
        // What is no longer a part of everything is told by its absence.
        table.0.remove("a");
        let update = stream.update(&table);
        assert_eq!(content(&update), ["b=1", "c=1"]);
        assert_eq!(update.notes, [Note::Unsubscribed { name: "a".into() }]);
        // The last is not taken away: nothing at all is never an answer.
        table.0.clear();
        assert!(stream.update(&table).response.is_none());
    }
}

#[test]
fn who_names_something_after_everything_gets_that_alone() {
    let mut table = Table::of(&[("a", "1"), ("b", "1")]);
    let (mut stream, update) = stream(&[], &table);
    stream.request(answer(&["a"], &nonce(&update))).unwrap();
    assert_eq!(stream.names(), ["a"]);
    table.set("b", "2");
    assert!(stream.update(&table).response.is_none());
}

#[test]
fn a_request_for_another_type_is_never_answered_and_ends_nothing() {
    let table = Table::of(&[("default", "1")]);
    let foreign = DiscoveryRequest { type_url: "type/Cluster".into(), ..ask(&["default"]) };
    let mut stream = StateOfTheWorld::default();
    let note = Note::ForeignType { type_url: "type/Cluster".into() };
    assert_eq!(stream.request(foreign), Ok(vec![note]));
    assert!(stream.update(&table).response.is_none());
    stream.request(ask(&["default"])).unwrap();
    assert_eq!(content(&stream.update(&table)), ["default=1"]);
}

#[test]
fn too_many_names_are_refused_and_too_long_ones_held() {
    let names: Vec<_> = (0..=MOST_NAMES).map(|at| at.to_string()).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut stream = StateOfTheWorld::default();
    assert_eq!(stream.request(ask(&names[1..])), Ok(vec![]));
    assert_eq!(StateOfTheWorld::default().request(ask(&names)), Err(Refusal::TooManyNames));
    let long = "n".repeat(LONGEST_NAME + 1);
    let mut stream = StateOfTheWorld::default();
    let notes = stream.request(ask(&[&long, "default"])).unwrap();
    assert_eq!(notes, [Note::TooLong { length: LONGEST_NAME + 1 }]);
    assert_eq!(stream.names(), ["default"]);
}

#[test]
fn the_version_of_several_does_not_depend_on_their_order() {
    let table = Table::of(&[("a", "1"), ("b", "1")]);
    let version = |names: &[&str], table: &Table| stream(names, table).1.response.unwrap().version;
    let one = version(&["a", "b"], &table);
    assert_eq!(one, version(&["b", "a"], &table));
    assert_ne!(one, version(&["a", "b"], &Table::of(&[("a", "1"), ("b", "2")])));
    assert_eq!(one, "ba7f087f8aa71556");
}
