//! Groups, planned on a log that is known without any request.

use super::*;
use crate::tail::Tail;
use portolan_kernel::values::{
    Checkpoint, CheckpointState, EventType, Guard, IdempotencyKey, InvalidName, Tag, Token as Fence,
};
use tokio::sync::Semaphore;
use tokio::time::Instant;

fn name<T: for<'a> TryFrom<&'a str, Error = InvalidName>>(text: &str) -> T {
    T::try_from(text).unwrap()
}

fn event(stream: &str) -> NewEvent {
    NewEvent::new(name(stream), name::<EventType>("t"), "{}")
}

fn space() -> Space {
    Space::new("main").unwrap()
}

/// A log that ends at 10, where `a-1` has two events and `b-1` is missing; its end was looked at just now.
fn state() -> State {
    let mut state = State::for_tests(10);
    state.heads.set(name("a-1"), Some(1));
    state.heads.set(name("b-1"), None);
    state
}

fn job(append: Append) -> Job {
    let place = || Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    let order = crate::job::Order {
        append: Arc::new(append),
        since: Tail::moment_for_tests(),
        until: Instant::now(),
        guarded: Some(10),
        forbidden: None,
        guesses: true,
        moved: None,
    };
    Job { order, answer: futures::channel::oneshot::channel().0, _place: (place(), place()) }
}

fn group() -> Group {
    Group::new(&state(), Timestamp::from_micros(7))
}

/// What a group that holds `first` says to `then`.
#[track_caller]
fn after(first: impl IntoIterator<Item = Append>, then: Append) -> Verdict {
    let (mut group, mut state) = (group(), state());
    for append in first {
        let mut job = job(append);
        let Verdict::Joins(joining) = group.judge(&mut job, &mut state, &space()) else { panic!("it joins") };
        group.join(job, joining);
    }
    group.judge(&mut job(then), &mut state, &space())
}

fn exact(stream: &str, revision: u64) -> Append {
    Append::new([event(stream)]).expect(name(stream), Expected::Exact(Revision::new(revision)))
}

fn key(id: &str) -> IdempotencyKey {
    IdempotencyKey::new(name("scope"), name(id), [1; 32])
}

fn moved(token: u64, to: Move) -> Append {
    let state = CheckpointState::new(StoreId::from_bytes([0; 16]), None, Fence(0));
    Append::default().checkpoint(Checkpoint::new(name("c"), state, Fence(token), to))
}

fn tagged(tag: &str) -> Query {
    Query::of(portolan_kernel::values::Item::new().tag(name(tag)))
}

#[test]
fn what_an_earlier_one_will_have_written_counts() {
    assert!(matches!(after([exact("a-1", 1)], exact("a-1", 2)), Verdict::Joins(_)));
    let creates = Append::new([event("b-1")]).expect(name("b-1"), Expected::NoStream);
    let goes_on = Append::new([event("b-1")]).expect(name("b-1"), Expected::StreamExists);
    assert!(matches!(after([creates], goes_on), Verdict::Joins(_)));
}

#[test]
fn what_would_be_refused_because_of_an_earlier_one_waits() {
    assert!(matches!(after([exact("a-1", 1)], exact("a-1", 1)), Verdict::Waits));
    assert!(matches!(
        after([Append::default().key(key("k"))], Append::new([event("a-1")]).key(key("k"))),
        Verdict::Waits
    ));
    assert!(matches!(after([moved(1, Move::Claim)], moved(2, Move::Claim)), Verdict::Waits));
    let seat = || Append::new([event("a-1").with_tags([name::<Tag>("seat")])]);
    let guarded = seat().guard(Guard::new(tagged("seat"), None));
    assert!(matches!(after([seat()], guarded), Verdict::Waits));
}

#[test]
fn what_the_log_refuses_is_refused_at_once() {
    let refused = |append| match after([], append) {
        Verdict::Answer(Answer::Refused(error)) => error,
        _ => panic!("it is refused"),
    };
    let conflict = refused(exact("a-1", 0));
    assert!(
        matches!(conflict, AppendError::Conflict { actual: Some(actual), .. } if actual.get() == 1),
        "{conflict:?}"
    );
    let past = Position::new(11);
    let invalid = refused(Append::new([event("a-1")]).guard(Guard::new(Query::all(), past)));
    assert!(matches!(invalid, AppendError::Invalid(_)), "{invalid:?}");
    let beyond = after([], moved(1, Move::Reset(past)));
    assert!(matches!(beyond, Verdict::Answer(Answer::Beyond(AppendError::Invalid(_)))));
}

#[test]
fn a_refusal_on_old_knowledge_is_looked_at_again() {
    let mut state = state();
    let mut late = job(exact("a-1", 0));
    late.order.since = Tail::later_moment_for_tests();
    assert!(matches!(group().judge(&mut late, &mut state, &space()), Verdict::Needs(Need::End)));
}

#[test]
fn what_is_not_known_is_asked_for_unless_it_can_be_guessed() {
    let append = Append::new([event("new-1")]);
    assert!(matches!(after([], append.clone()), Verdict::Needs(Need::Heads(streams)) if streams == ["new-1"]));
    assert!(matches!(after([], append.clone().expect(name("new-1"), Expected::NoStream)), Verdict::Joins(_)));
    let mut once_wrong = job(append.expect(name("new-1"), Expected::NoStream));
    once_wrong.order.guesses = false;
    assert!(matches!(group().judge(&mut once_wrong, &mut state(), &space()), Verdict::Needs(Need::Heads(_))));
    let mut unsearched = job(Append::new([event("a-1")]).guard(Guard::new(Query::all(), None)));
    unsearched.order.guarded = None;
    assert!(matches!(group().judge(&mut unsearched, &mut state(), &space()), Verdict::Needs(Need::Guard)));
}

fn sealed(appends: impl IntoIterator<Item = Append>) -> Sealed {
    let (mut group, mut state, space) = (group(), state(), space());
    for append in appends {
        let mut job = job(append);
        match group.judge(&mut job, &mut state, &space) {
            Verdict::Joins(joining) => group.join(job, joining),
            _ => break,
        }
    }
    let identity = StoreId::from_bytes([0; 16]);
    group.seal(&Frame { table: "t", space: &space, identity, retention: None }, [9; 16])
}

#[test]
fn appends_of_a_group_share_what_they_have_in_common() {
    let sealed = sealed([exact("a-1", 1), exact("a-1", 2), Append::new([event("b-1"), event("a-1")]).key(key("k"))]);
    // Head, two records, row, type, two categories, key.
    assert_eq!(sealed.items.len(), 8);
    assert_eq!(sealed.owners.len(), 8);
    let row = sealed.row.unwrap();
    assert_eq!((row.first, row.last, row.entries.len()), (11, 14, 4));
    let revisions: Vec<_> = row.entries.iter().map(|entry| (&*entry.names.stream, entry.revision)).collect();
    assert_eq!(revisions, [("a-1", 2), ("a-1", 3), ("b-1", 0), ("a-1", 4)]);
    let ends: Vec<_> = sealed.outcomes.iter().map(|done| done.last.map(Position::get)).collect();
    assert_eq!(ends, [Some(11), Some(12), Some(14)]);
}

#[test]
fn a_row_is_read_as_it_was_written() {
    let row =
        sealed([exact("a-1", 1), Append::new([event("b-1").with_tags([name::<Tag>("x"), name("x")])])]).row.unwrap();
    let key = space().log_at(row.last);
    let bytes = pieces::unsealed(&key, row.sealed(&key)).unwrap();
    let read = Row::decode(&key, row.further, &bytes).unwrap();
    assert_eq!(Row { bytes: 0, ..read }, Row { bytes: 0, ..(*row).clone() });
    assert!(Row::decode(&space().log_at(row.last + 1), 0, &bytes).is_err(), "under another key it is none");
}

#[test]
fn a_check_of_a_stream_gives_way_to_a_write_of_it() {
    let checks = || Append::new([event("b-1")]).expect(name("a-1"), Expected::Exact(Revision::new(1)));
    let checked = |sealed: &Sealed| sealed.items.iter().filter(|item| item.condition_check().is_some()).count();
    assert_eq!(checked(&sealed([checks()])), 1);
    assert_eq!(checked(&sealed([checks(), checks()])), 1);
    assert_eq!(checked(&sealed([checks(), exact("a-1", 1)])), 0);
}

#[test]
fn a_group_takes_no_more_than_a_transaction_does() {
    let sealed = sealed((0..200).map(|n| {
        let stream = format!("new-{n}");
        Append::new([event(&stream)]).expect(name(&stream), Expected::NoStream)
    }));
    assert_eq!(sealed.items.len(), TRANSACTION_ITEMS);
    assert_eq!(sealed.jobs.len(), TRANSACTION_ITEMS - 4, "all but head, row, type and category");
}

/// Whatever an append within the limits consists of, it is one transaction.
#[test]
fn an_append_of_the_stated_limits_fits_one_transaction() {
    let limits = limits();
    let text = |n: usize, size: usize| format!("{n:-<size$}");
    let (streams, events) = (limits.append_streams as usize, limits.append_events as usize);
    let each = |events: usize| usize::try_from(limits.append_bytes).unwrap() / events;
    let tags = |n: usize, size: usize| (0..size / 512).map(move |tag| name::<Tag>(&text(100 * n + tag, 512)));
    let payload = |n: usize, size: usize| {
        NewEvent::new(name(&format!("{}-x", text(n % streams, 400))), name("t"), vec![7; size - 403])
    };
    let shapes: Vec<Vec<NewEvent>> = vec![
        (0..events).map(|n| payload(n, each(events))).collect(),
        // All names, all different: tags, types, streams.
        (0..60).map(|n| payload(n, 420).with_tags(tags(n, each(60) - 1_000))).collect(),
        // Just too large to share a record.
        (0..22).map(|n| payload(0, each(22).min(66_000)).with_version(n)).collect(),
        vec![payload(0, 1 << 20), payload(1, 500_000)],
    ];
    for events in shapes {
        let mut append = Append::new(events).key(key("k").with_note(vec![1; 64 << 10]));
        append.checkpoint = moved(1, Move::Claim).checkpoint;
        let capabilities = portolan_kernel::ports::Capabilities::new(StoreId::from_bytes([0; 16])).with_limits(limits);
        capabilities.check(&append).unwrap();
        let (mut group, mut state, space) = (group(), state(), space());
        for stream in streams_of(&append) {
            state.heads.set(stream.clone(), None);
        }
        let mut job = job(append);
        let Verdict::Joins(joining) = group.judge(&mut job, &mut state, &space) else { panic!("it joins") };
        group.join(job, joining);
        let identity = StoreId::from_bytes([0; 16]);
        let sealed = group.seal(&Frame { table: "t", space: &space, identity, retention: None }, [9; 16]);
        assert!(sealed.items.len() <= TRANSACTION_ITEMS, "{} items", sealed.items.len());
        let bytes: usize = sealed.items.iter().filter_map(|item| item.put()).map(|put| size(put.item())).sum();
        assert!(bytes < 4 << 20, "{bytes} bytes");
        let largest = sealed.items.iter().filter_map(|item| item.put()).map(|put| size(put.item())).max();
        assert!(largest < Some(400 << 10), "{largest:?} bytes in one item");
    }
}

/// The size of an item as DynamoDB counts.
fn size(item: &crate::table::Item) -> usize {
    use aws_sdk_dynamodb::types::AttributeValue::{B, N, S};
    let value = |value: &_| match value {
        S(text) | N(text) => text.len(),
        B(bytes) => bytes.as_ref().len(),
        _ => 0,
    };
    item.iter().map(|(name, of)| name.len() + value(of)).sum()
}
