use super::*;
use crate::sds::wire::DeltaDiscoveryRequest;

fn ask(names: &[&str]) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        resource_names_subscribe: names.iter().map(|name| (*name).to_owned()).collect(),
        type_url: wire::SECRET_TYPE.into(),
        ..Default::default()
    }
}

fn leave(names: &[&str]) -> DeltaDiscoveryRequest {
    let resource_names_unsubscribe = names.iter().map(|name| (*name).to_owned()).collect();
    DeltaDiscoveryRequest { resource_names_unsubscribe, ..Default::default() }
}

fn answer(update: &Update) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest { response_nonce: nonce(update), ..Default::default() }
}

fn reject(update: &Update) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest { error_detail: rejection(), ..answer(update) }
}

fn stream(names: &[&str], table: &Table) -> (Delta, Update) {
    let mut stream = Delta::default();
    assert_eq!(stream.request(ask(names)), Ok(vec![]));
    let update = stream.update(table);
    (stream, update)
}

#[test]
fn every_name_of_a_first_request_is_answered() {
    let (mut stream, update) =
        stream(&["a", "b"], &Table::of(&[("a", "1"), ("b", "1"), ("c", "1")]));
    assert_eq!(content(&update), ["a=1", "b=1"]);
    assert_eq!(stream.request(answer(&update)), Ok(vec![accepted("a"), accepted("b")]));
}

#[test]
fn what_is_not_there_yet_is_held_and_never_said_to_be_removed() {
    let mut table = Table::default();
    table.hold("a");
    let (mut stream, update) = stream(&["a", "b"], &table);
    assert!(update.response.is_none());
    assert_eq!(update.notes, [held("a", "not made yet"), held("b", "unknown")]);
    assert_eq!(update.awaits, [NodeName::parse("front").unwrap()]);
    table.set("b", "1");
    assert_eq!(content(&stream.update(&table)), ["b=1"]);
}

#[test]
fn what_was_served_is_said_to_be_removed_once_and_served_again_when_it_is_back() {
    let mut table = Table::of(&[("a", "1"), ("b", "1")]);
    let (mut stream, update) = stream(&["a", "b"], &table);
    stream.request(answer(&update)).unwrap();
    table.hold("a");
    let update = stream.update(&table);
    assert_eq!(content(&update), ["-a"]);
    assert_eq!(update.notes, [held("a", "not made yet")]);
    assert_eq!(stream.request(answer(&update)), Ok(vec![]));
    assert!(stream.update(&table).response.is_none());
    table.set("a", "1");
    assert_eq!(content(&stream.update(&table)), ["a=1"]);
}

#[test]
fn only_what_changed_is_sent() {
    let mut table = Table::of(&[("a", "1"), ("b", "1")]);
    let (mut stream, _) = stream(&["a", "b"], &table);
    table.set("b", "2");
    assert_eq!(content(&stream.update(&table)), ["b=2"]);
}

#[test]
fn an_answer_counts_for_what_was_in_no_response_since() {
    let mut table = Table::of(&[("a", "1"), ("b", "1")]);
    let (mut stream, first) = stream(&["a", "b"], &table);
    table.set("b", "2");
    let second = stream.update(&table);
    assert_eq!(stream.request(answer(&first)), Ok(vec![accepted("a")]));
    assert_eq!(stream.request(reject(&second)), Ok(vec![rejected("b", "2")]));
    assert_eq!(stream.request(answer(&first)), Ok(vec![]));
    assert!(stream.update(&table).response.is_none());
}

#[test]
fn a_rejection_of_what_another_stream_was_sent_counts_for_nothing() {
    let mut table = Table::of(&[("a", "1")]);
    let (mut other, _) = stream(&["a"], &table);
    let (mut stream, update) = stream(&["a"], &table);
    table.set("a", "2");
    let foreign = other.update(&table);
    assert_eq!(stream.request(reject(&foreign)), Ok(vec![]));
    assert_eq!(stream.request(answer(&update)), Ok(vec![accepted("a")]));
    assert_eq!(content(&stream.update(&table)), ["a=2"]);
}

#[test]
fn a_rejected_version_is_not_sent_again_until_the_content_changes() {
    let mut table = Table::of(&[("a", "1")]);
    let (mut stream, update) = stream(&["a"], &table);
    assert_eq!(stream.request(reject(&update)), Ok(vec![rejected("a", "1")]));
    assert!(stream.update(&table).response.is_none());
    table.set("a", "2");
    assert_eq!(content(&stream.update(&table)), ["a=2"]);
}

#[test]
fn a_subscription_counts_whichever_response_it_answers() {
    let table = Table::of(&[("a", "1"), ("b", "1")]);
    let (mut stream, _) = stream(&["a"], &table);
    let late = DeltaDiscoveryRequest { response_nonce: "long past".into(), ..ask(&["b"]) };
    stream.request(late).unwrap();
    assert_eq!(content(&stream.update(&table)), ["b=1"]);
}

#[test]
fn who_subscribes_again_is_sent_it_again_once() {
    let table = Table::of(&[("a", "1")]);
    let (mut stream, update) = stream(&["a"], &table);
    stream.request(answer(&update)).unwrap();
    stream.request(ask(&["a"])).unwrap();
    assert_eq!(content(&stream.update(&table)), ["a=1"]);
    assert!(stream.update(&table).response.is_none());
}

#[test]
fn who_unsubscribes_is_told_nothing_more() {
    let mut table = Table::of(&[("a", "1"), ("b", "1")]);
    let (mut stream, _) = stream(&["a", "b"], &table);
    let notes = stream.request(leave(&["a", "unheard of"]));
    assert_eq!(notes, Ok(vec![Note::Unsubscribed { name: "a".into() }]));
    table.set("a", "2");
    assert!(stream.update(&table).response.is_none());
    assert_eq!(stream.names(), ["b"]);
    // Nothing is left by name, which is not everything.
    stream.request(leave(&["b"])).unwrap();
    table.set("b", "2");
    assert!(stream.update(&table).response.is_none());
}

#[test]
fn the_same_content_of_newer_parts_counts_as_accepted_without_being_sent() {
    let mut table = Table::of(&[("a", "1")]);
    let (mut stream, update) = stream(&["a"], &table);
    stream.request(answer(&update)).unwrap();
    table.set_at("a", "1", 2);
    let update = stream.update(&table);
    assert!(update.response.is_none());
    assert!(matches!(&update.notes[..], [Note::HasAlready(_)]), "{update:?}");
}

#[test]
fn who_names_nothing_gets_everything_and_is_told_what_goes() {
    for names in [&[][..], &["*"][..]] {
        let mut table = Table::of(&[("a", "1"), ("b", "1")]);
        let (mut stream, update) = stream(names, &table);
        assert_eq!(content(&update), ["a=1", "b=1"]);
        table.set("c", "1");
        table.0.remove("a");
        assert_eq!(content(&stream.update(&table)), ["-a", "c=1"]);
        assert!(stream.update(&table).response.is_none());
    }
}

#[test]
fn who_leaves_everything_keeps_what_it_asked_for_by_name() {
    let mut table = Table::of(&[("a", "1"), ("b", "1")]);
    let (mut stream, _) = stream(&["*", "a"], &table);
    let notes = stream.request(leave(&["*"]));
    assert_eq!(notes, Ok(vec![Note::Unsubscribed { name: "b".into() }]));
    table.set("a", "2");
    table.set("b", "2");
    assert_eq!(content(&stream.update(&table)), ["a=2"]);
}

#[test]
fn a_request_for_another_type_is_never_answered_and_ends_nothing() {
    let table = Table::of(&[("a", "1")]);
    let mut stream = Delta::default();
    let foreign = DeltaDiscoveryRequest { type_url: "type/Cluster".into(), ..ask(&["a"]) };
    let notes = stream.request(foreign);
    assert_eq!(notes, Ok(vec![Note::ForeignType { type_url: "type/Cluster".into() }]));
    assert!(stream.update(&table).response.is_none());
    stream.request(ask(&["a"])).unwrap();
    assert_eq!(content(&stream.update(&table)), ["a=1"]);
}

#[test]
fn too_many_names_are_refused_however_they_come() {
    let mut stream = Delta::default();
    for at in 0..MOST_NAMES {
        stream.request(ask(&[&at.to_string()])).unwrap();
    }
    assert_eq!(stream.request(ask(&["one more"])), Err(Refusal::TooManyNames));
}
