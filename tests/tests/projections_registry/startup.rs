//! What is refused at start-up, and what is not.

use super::support::*;
use portolan::Bytes;
use portolan::application::{BuildError, Storage};
use portolan::domain::mapping::{MappedColumn, Mapping, MappingError};
use portolan::domain::{
    CodecError, Event, EventError, Projection, RecordedAs, Row, RowColumn, RowIndex, RowValueError,
};
use portolan::ports::{Inline, InlineRows, Lifecycle, NoProjections, RawEvent};
use portolan::values::{Cell, Collection, Query, Recorded};
use std::sync::Arc;

/// A projection whose names and numbers are the test's.
macro_rules! projection {
    ($name:ident: $text:expr, $version:expr, $row:ty, $lifecycle:ident) => {
        struct $name;
        impl Projection for $name {
            const NAME: &'static str = $text;
            const VERSION: u16 = $version;
            type Event = AccountEvent;
            type Row = $row;
            fn key(_: &RecordedAs<AccountEvent>) -> Option<String> {
                None
            }
            fn apply(_: &mut Option<$row>, _: &RecordedAs<AccountEvent>) {}
            fn lifecycle() -> Lifecycle {
                Lifecycle::$lifecycle
            }
        }
    };
}

struct Wrong<const INDEXES: usize>;

impl<const INDEXES: usize> Row for Wrong<INDEXES> {
    const COLUMNS: &'static [RowColumn] = &[RowColumn::of::<i64>("n")];
    const INDEXES: &'static [RowIndex] = if INDEXES == 1 {
        &[RowIndex::new("m", &["m"])]
    } else {
        const INDEX: RowIndex = RowIndex::new("n", &["n"]);
        &[INDEX, INDEX]
    };
    fn to_cells(&self) -> Result<Vec<Cell>, RowValueError> {
        Ok(vec![Cell::Integer(1)])
    }
    fn from_cells(_: Vec<Cell>) -> Result<Self, RowValueError> {
        Ok(Self)
    }
}

projection!(Nameless: "", 1, Balance, Asynchronous);
projection!(OfTheSystem: "$balances", 1, Balance, Asynchronous);
projection!(Divided: "balances@1/0", 1, Balance, Asynchronous);
projection!(InParts: "bank/balances", 1, Balance, Live);
projection!(Unversioned: "balances", 0, Balance, Asynchronous);
projection!(Twin: "balances", 2, Balance, Asynchronous);
projection!(MissingColumn: "balances", 1, Wrong<1>, Asynchronous);
projection!(IndexTwice: "balances", 1, Wrong<2>, Asynchronous);
projection!(InsideOfAppends: "balances", 1, Balance, Inline);
projection!(InsideIfPossible: "balances", 1, Balance, InlineIfPossible);

/// Too long for a checkpoint's name, though not for a name.
const LONG: &str = match std::str::from_utf8(&[b'x'; 500]) {
    Ok(text) => text,
    Err(_) => "",
};
projection!(TooLong: LONG, 1, Balance, Asynchronous);

macro_rules! refused {
    ($world:expr, $($projection:ty),*) => {
        match $world.process()$(.projection::<$projection>())*.build().await {
            Ok(_) => panic!("it is built"),
            Err(error) => error,
        }
    };
}

#[tokio::test]
async fn names_versions_and_rows_are_judged() {
    let world = World::new();
    let says = |error: BuildError, part: &str| {
        assert!(matches!(error, BuildError::Projection { .. }) && error.to_string().contains(part), "{error}");
    };
    says(refused!(world, Nameless), "cannot be empty");
    says(refused!(world, OfTheSystem), "begin with $");
    says(refused!(world, Divided), "no @ and no /");
    says(refused!(world, InParts), "no @ and no /");
    says(refused!(world, TooLong), "at most 512 bytes");
    says(refused!(world, Unversioned), "versions begin at 1");
    says(refused!(world, MissingColumn), "index m");
    says(refused!(world, IndexTwice), "two indexes n");
    let twice = refused!(world, Balances, Twin);
    assert!(matches!(&twice, BuildError::SameProjection { name, .. } if name == "balances"), "{twice}");
}

/// An event by hand, which does not tell its fields.
struct Untold(AccountEvent);

impl Event for Untold {
    const CATEGORY: &'static str = AccountEvent::CATEGORY;
    fn event_type(&self) -> &'static str {
        self.0.event_type()
    }
    fn encode(&self) -> Result<Bytes, CodecError> {
        self.0.encode()
    }
    fn decode(raw: &RawEvent) -> Result<Self, EventError> {
        AccountEvent::decode(raw).map(Self)
    }
}

/// What a derive finds out about its events.
struct Unfit<const LIVE: bool>;

impl<const LIVE: bool> Projection for Unfit<LIVE> {
    const NAME: &'static str = "balances";
    const VERSION: u16 = 1;
    type Event = Untold;
    type Row = Balance;
    fn key(_: &RecordedAs<Untold>) -> Option<String> {
        None
    }
    fn apply(_: &mut Option<Balance>, _: &RecordedAs<Untold>) {}
    fn check() -> Result<(), MappingError> {
        Mapping { columns: &[MappedColumn::of::<i64>("balance")], key: &[], handled: &[] }.check::<Untold>()
    }
    fn lifecycle() -> Lifecycle {
        if LIVE { Lifecycle::Live } else { Lifecycle::Asynchronous }
    }
}

#[tokio::test]
async fn a_projection_has_to_fit_its_events() {
    let world = World::new();
    for refused in [refused!(world, Unfit<false>), refused!(world, Unfit<true>)] {
        let BuildError::Mapping { projection: "balances", source } = &refused else { panic!("{refused}") };
        assert!(matches!(source, MappingError::FieldsNotTold { .. }), "{source}");
        assert!(refused.to_string().contains("derive `Event`"), "{refused}");
    }
}

#[tokio::test]
async fn rows_have_to_have_a_place() {
    let world = World::new();
    let store = Arc::new(world.store.clone());
    let bare = Storage::new(store.clone(), store.clone());
    let lacks = async |storage: Storage| match world.process_over(storage).projection::<Balances>().build().await {
        Err(BuildError::NoReadModels { lacks, .. }) => lacks,
        other => panic!("{other:?}"),
    };
    assert_eq!(lacks(bare.clone()).await, "read models");
    assert_eq!(lacks(bare.clone().with_read_models(store)).await, "leases");
    world.process_over(bare).projection::<Balances<1, true>>().build().await.unwrap();
}

/// What a store runs inside of its appends.
struct Runs(u32);

impl Inline for Runs {
    fn collection(&self) -> Collection {
        Collection::new(balances(), self.0)
    }
    fn wants(&self) -> Query {
        Query::all()
    }
    fn apply(&self, _: &Arc<Recorded>, _: &mut dyn InlineRows) -> Result<(), String> {
        Ok(())
    }
}

#[tokio::test]
async fn what_is_to_be_inline_has_to_be_given_to_the_store() {
    let world = World::new();
    let storage = |version| Storage::from(world.store.clone()).with_inline(vec![Arc::new(Runs(version))]);
    let refused = refused!(world, InsideOfAppends);
    assert!(matches!(&refused, BuildError::NotInline { name, version: 1 } if name == "balances"), "{refused}");
    let other = world.process_over(storage(2)).projection::<InsideOfAppends>().build().await.unwrap_err();
    assert!(matches!(other, BuildError::NotInline { .. }), "{other}");
    world.process_over(storage(1)).projection::<InsideOfAppends>().build().await.unwrap();
    world.process().projection::<InsideIfPossible>().build().await.unwrap();
    world.process_over(storage(1)).build().await.unwrap();
}

#[tokio::test]
async fn there_is_one_registry() {
    let world = World::new();
    let both = world.process().projection::<Balances>().projections(Arc::new(NoProjections)).build().await;
    assert!(matches!(both, Err(BuildError::TwoRegistries)));
    world.process().projections(Arc::new(NoProjections)).build().await.unwrap();
}
