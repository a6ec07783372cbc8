//! The second form: what a view sees, and what becomes of its failures.

use crate::model::*;
use crate::world::*;
use core::cell::Cell as Counter;
use core::ops::Bound;
use portolan::domain::{
    CellValue, FailurePolicy, OnFailure, RecordedAs, Row, RowColumn, RowIndex, RowValueError, Upcasters,
    decode_recorded, row_cells,
};
use portolan::drivers::{ApplyError, View, ViewProjection};
use portolan::ports::{ProjectionAction, ProjectionState};
use portolan::values::{By, Cell, Cursor, Direction, Edition, NewEvent};
use std::cell::RefCell;
use std::collections::BTreeMap;

thread_local! {
    /// How often an event is to fail yet that may be tried again.
    pub(crate) static BROKEN_CALLS: Counter<u32> = const { Counter::new(0) };
    /// Whether each event that was applied was replayed.
    static REPLAYED: RefCell<Vec<bool>> = const { RefCell::new(Vec::new()) };
}

/// Where each account is, found by city: `Opened` says where it moves to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    city: String,
    rank: u64,
}

impl Row for Place {
    const COLUMNS: &'static [RowColumn] = &[RowColumn::of::<String>("city"), RowColumn::of::<u64>("rank")];
    const INDEXES: &'static [RowIndex] = &[RowIndex::new("city", &["city", "rank"])];
    fn to_cells(&self) -> Result<Vec<Cell>, RowValueError> {
        Ok(vec![self.city.to_cell()?, self.rank.to_cell()?])
    }
    fn from_cells(cells: Vec<Cell>) -> Result<Self, RowValueError> {
        let [city, rank] = row_cells(cells)?;
        Ok(Self { city: CellValue::from_cell(city)?, rank: CellValue::from_cell(rank)? })
    }
}

/// The rank of an account in a city is how many were there when it came.
pub(crate) struct Cities;

impl ViewProjection for Cities {
    const NAME: &'static str = "cities";
    const VERSION: u16 = 1;
    type Event = AccountEvent;
    type Row = Place;

    async fn apply(view: &mut View<'_, Place>, event: &RecordedAs<AccountEvent>) -> Result<(), ApplyError> {
        let account = event.stream().to_string();
        match &event.event {
            AccountEvent::Opened { email: city } => {
                view.delete(&account)?;
                let there = By::Index {
                    name: name("city"),
                    equals: vec![Cell::Text(city.clone())],
                    range: (Bound::Unbounded, Bound::Unbounded),
                };
                let (mut rank, mut find) = (0, view.by(there).limit(2));
                loop {
                    let found = view.find(find.clone()).await?;
                    rank += found.rows.len() as u64;
                    match found.next {
                        Some(next) => find = find.after(Some(next)),
                        None => break,
                    }
                }
                view.put(&account, &Place { city: city.clone(), rank })?;
                if BROKEN_CALLS.get() > 0 {
                    BROKEN_CALLS.set(BROKEN_CALLS.get() - 1);
                    return Err(ApplyError::try_again("elsewhere is gone"));
                }
                REPLAYED.with_borrow_mut(|replayed| replayed.push(view.is_replaying()));
                Ok(())
            }
            AccountEvent::Deposited { .. } => Err(ApplyError::never("no deposits here")),
            AccountEvent::Closed {} => view.delete(&account),
        }
    }

    fn on_failure() -> FailurePolicy {
        FailurePolicy::then(OnFailure::Park).retries(3)
    }
}

pub(crate) fn moved(account: u64, city: &str) -> NewEvent {
    opened(account, city)
}

/// The rows as they should be at their position.
fn expected(world: &World) -> Rows {
    let position = world.position_of(&name("cities"), FIRST);
    let mut places: BTreeMap<String, Place> = BTreeMap::new();
    for recorded in world.log() {
        if Some(recorded.position) > position {
            break;
        }
        let event: AccountEvent = decode_recorded(&Upcasters::new(), &recorded).unwrap().remove(0);
        let account = recorded.stream.to_string();
        match event {
            AccountEvent::Opened { email: city } => {
                places.remove(&account);
                let rank = places.values().filter(|place| place.city == city).count() as u64;
                places.insert(account, Place { city, rank });
            }
            AccountEvent::Deposited { .. } => {}
            AccountEvent::Closed {} => drop(places.remove(&account)),
        }
    }
    places.into_iter().map(|(account, place)| (account, place.to_cells().unwrap())).collect()
}

#[track_caller]
pub(crate) fn check(world: &World) {
    assert_eq!(world.rows_of(&name("cities"), FIRST), expected(world));
}

#[test]
fn a_view_sees_what_the_events_before_have_changed() {
    for page in [1, 3, 100] {
        let world = World::with_limits(small_limits(100)).page(page);
        world.append((0..40_u64).map(|n| match n % 7 {
            3 => closed(n % 5),
            _ => moved(n * 7 % 11, ["rome", "oslo", "riga"][n as usize % 3]),
        }));
        let mut work = world.alone("one").viewed::<Cities>(FIRST);
        world.catch_up(&mut work, &name("cities"), FIRST);
        check(&world);
    }
}

#[test]
fn what_may_pass_is_tried_again_and_its_changes_are_taken_back() {
    let world = World::new();
    world.append([moved(1, "rome"), moved(2, "rome"), moved(3, "rome")]);
    BROKEN_CALLS.set(3);
    let mut work = world.alone("one").viewed::<Cities>(FIRST);
    world.catch_up(&mut work, &name("cities"), FIRST);
    check(&world);
    assert_eq!(BROKEN_CALLS.get(), 0);
    assert_eq!(world.said(&name("cities"), FIRST).unwrap().parked, 0);
}

#[test]
fn what_fails_too_often_is_parked_and_retried() {
    let world = World::new();
    world.append([moved(1, "rome"), moved(2, "rome")]);
    BROKEN_CALLS.set(5);
    let alone = world.alone("one");
    let mut work = alone.viewed::<Cities>(FIRST);
    world.catch_up(&mut work, &name("cities"), FIRST);
    // Four attempts at the first event, and one that fails at the second, which then goes well.
    assert_eq!((BROKEN_CALLS.get(), world.said(&name("cities"), FIRST).unwrap().parked), (0, 1));
    assert_eq!(world.rows_of(&name("cities"), FIRST).len(), 1, "what the first changed before it failed is taken back");
    world.wish(&alone, &name("cities"), ProjectionAction::Retry(None));
    world.run_until(&mut work, || world.said(&name("cities"), FIRST).is_some_and(|said| said.parked == 0));
    assert_eq!(world.rows_of(&name("cities"), FIRST).len(), 2);
}

#[test]
fn what_never_helps_is_not_tried_again() {
    let world = World::new();
    world.append([deposited(1, 1), moved(1, "rome"), moved(2, "oslo")]);
    let mut work = world.alone("one").viewed::<Cities>(FIRST);
    world.catch_up(&mut work, &name("cities"), FIRST);
    let said = world.said(&name("cities"), FIRST).unwrap();
    assert_eq!(said.parked, 2, "the deposit, and what comes after it in its stream");
    assert_eq!(world.rows_of(&name("cities"), FIRST).len(), 1);
}

#[test]
fn a_rebuild_is_replaying_up_to_where_the_rows_are_that_are_read() {
    let world = World::new().page(2);
    world.append((0..5).map(|n| moved(n, "rome")));
    let alone = world.alone("one");
    let mut first = alone.viewed::<Cities>(FIRST);
    world.catch_up(&mut first, &name("cities"), FIRST);
    assert_eq!(REPLAYED.take(), [false; 5], "there were no rows before");
    drop(first);
    world.append((5..8).map(|n| moved(n, "rome")));
    world.wish(&alone, &name("cities"), ProjectionAction::Rebuild);
    let rebuild = Edition { version: 1, rebuild: 1 };
    let mut second = alone.viewed::<Cities>(rebuild);
    world.catch_up(&mut second, &name("cities"), rebuild);
    assert_eq!(REPLAYED.take(), [true, true, true, true, true, false, false, false]);
}

/// Each event has its effect at least once, whoever is read meanwhile and however often the workers' turns change.
#[test]
fn no_effect_is_lost_when_readers_are_switched() {
    thread_local! {
        static EFFECTS: RefCell<BTreeMap<u64, Vec<u16>>> = const { RefCell::new(BTreeMap::new()) };
    }

    struct Calls;

    impl ViewProjection for Calls {
        const NAME: &'static str = "calls";
        const VERSION: u16 = 1;
        type Event = AccountEvent;
        type Row = Place;
        async fn apply(view: &mut View<'_, Place>, event: &RecordedAs<AccountEvent>) -> Result<(), ApplyError> {
            if !view.is_replaying() {
                let rebuild = view.edition().rebuild;
                EFFECTS.with_borrow_mut(|had| had.entry(event.recorded.position.get()).or_default().push(rebuild));
            }
            Ok(())
        }
    }

    for turns in 1..60 {
        let world = World::new().page(3);
        let (old, new) = (FIRST, Edition { version: 1, rebuild: 1 });
        world.append((0..10).map(|n| moved(n, "rome")));
        let alone = world.alone("one");
        let mut first = alone.viewed::<Calls>(old);
        world.catch_up(&mut first, &name("calls"), old);
        world.wish(&alone, &name("calls"), ProjectionAction::Rebuild);
        let mut second = alone.viewed::<Calls>(new);
        // Both work, by turns, while events come; the old one goes on until it has seen the switch, and is dropped.
        for n in 0..20 {
            world.append([moved(n, "oslo")]);
            world.run_for(&mut first, turns);
            world.run_for(&mut second, 60 - turns);
        }
        drop(first);
        world.catch_up(&mut second, &name("calls"), new);
        let had = EFFECTS.take();
        let lost: Vec<_> =
            world.log().iter().map(|event| event.position.get()).filter(|at| !had.contains_key(at)).collect();
        assert_eq!(lost, [0_u64; 0], "with {turns} turns: {had:?}");
        let of_old: Vec<_> = world.log().iter().take(10).map(|event| had[&event.position.get()].clone()).collect();
        assert_eq!(of_old, vec![vec![0]; 10], "what the old one had done before is not repeated");
    }
}

/// Asks for pages in all ways, with changes pending, and compares with a sort of all rows.
struct Asking;

thread_local! {
    static ASKED: Counter<u32> = const { Counter::new(0) };
}

impl ViewProjection for Asking {
    const NAME: &'static str = "asking";
    const VERSION: u16 = 1;
    type Event = AccountEvent;
    type Row = Place;

    async fn apply(view: &mut View<'_, Place>, event: &RecordedAs<AccountEvent>) -> Result<(), ApplyError> {
        if let AccountEvent::Opened { email: city } = &event.event {
            let rank = event.recorded.position.get();
            return view.put(event.stream().as_str(), &Place { city: city.clone(), rank });
        }
        if let AccountEvent::Closed {} = event.event {
            return view.delete(event.stream().as_str());
        }
        let all = By::Key(Bound::Unbounded, Bound::Unbounded);
        let all: Vec<_> = pages(view, all, Direction::Forward, 1_000).await?;
        let text = |text: &str| Cell::Text(text.to_owned());
        let key = |n: u8| portolan::values::RowKey::new(format!("account-{n}")).unwrap();
        let city = |equals: Vec<Cell>, range| By::Index { name: name("city"), equals, range };
        type Keep = Box<dyn Fn(&(portolan::values::RowKey, Place)) -> bool + Send>;
        let (low, high) = (key(2), key(7));
        let questions: Vec<(By, bool, Keep)> = vec![
            (
                By::Key(Bound::Excluded(low.clone()), Bound::Included(high.clone())),
                false,
                Box::new(move |(key, _)| *key > low && *key <= high),
            ),
            (city(vec![], (Bound::Unbounded, Bound::Unbounded)), true, Box::new(|_| true)),
            (
                city(vec![text("oslo")], (Bound::Unbounded, Bound::Unbounded)),
                true,
                Box::new(|(_, it)| it.city == "oslo"),
            ),
            (
                city(vec![text("rome")], (Bound::Included(Cell::Integer(4)), Bound::Excluded(Cell::Integer(20)))),
                true,
                Box::new(|(_, it)| it.city == "rome" && (4..20).contains(&it.rank)),
            ),
            (
                city(vec![], (Bound::Excluded(text("oslo")), Bound::Unbounded)),
                true,
                Box::new(|(_, it)| it.city.as_str() > "oslo"),
            ),
        ];
        for (by, by_index, keep) in questions {
            let mut wanted: Vec<_> = all.iter().filter(|row| keep(row)).cloned().collect();
            if by_index {
                wanted.sort_by(|(k1, p1), (k2, p2)| (&p1.city, p1.rank, k1).cmp(&(&p2.city, p2.rank, k2)));
            }
            for limit in [1, 2, 3, 100] {
                assert_eq!(pages(view, by.clone(), Direction::Forward, limit).await?, wanted, "{by:?} {limit}");
                let mut reverse = pages(view, by.clone(), Direction::Backward, limit).await?;
                reverse.reverse();
                assert_eq!(reverse, wanted, "{by:?} {limit} backward");
                ASKED.set(ASKED.get() + 1);
            }
        }
        Ok(())
    }
}

async fn pages(
    view: &mut View<'_, Place>,
    by: By,
    direction: Direction,
    limit: u32,
) -> Result<Vec<(portolan::values::RowKey, Place)>, ApplyError> {
    let (mut rows, mut after): (Vec<_>, Option<Cursor>) = (Vec::new(), None);
    loop {
        let mut find = view.by(by.clone()).limit(limit).after(after);
        find.direction = direction;
        let found = view.find(find).await?;
        assert!(found.rows.len() <= limit as usize);
        rows.extend(found.rows);
        after = found.next;
        if after.is_none() {
            return Ok(rows);
        }
    }
}

#[test]
fn pages_of_a_view_are_those_of_the_store_with_the_changes_of_the_batch() {
    let world = World::new();
    let cities = ["rome", "oslo", "riga"];
    world.append((0..9).map(|n| moved(n, cities[n as usize % 3])));
    let mut work = world.alone("one").viewed::<Asking>(FIRST);
    world.catch_up(&mut work, &name("asking"), FIRST);
    // One batch: changed, deleted and new rows beside stored ones; and all deleted.
    let changes = (0..12_u64).flat_map(|n| match n % 4 {
        0 => vec![closed(n % 9), deposited(99, 1)],
        1 => vec![moved(n * 5 % 14, cities[(n as usize + 1) % 3]), deposited(99, 1)],
        _ => vec![moved(n % 9, cities[n as usize % 3]), deposited(99, 1)],
    });
    world.append(changes);
    world.catch_up(&mut work, &name("asking"), FIRST);
    world.append((0..14).map(closed).chain([deposited(99, 1)]));
    world.catch_up(&mut work, &name("asking"), FIRST);
    let said = world.said(&name("asking"), FIRST).unwrap();
    assert_eq!((said.state, said.last_error), (ProjectionState::CaughtUp, None));
    assert_eq!(ASKED.get(), 13 * 5 * 4, "each deposit asked");
}
