//! What the rows of sagas are, in stores that there are.

use super::*;
use crate::domain::collection_of;
use crate::domain::saga::{Definition, Saga, StepContext, StepError};
use crate::values::{ColumnType, Name};
use alloc::sync::Arc;

struct Trip;

impl Saga for Trip {
    const NAME: &'static str = "trip";
    type Input = ();
    fn definition() -> Definition<Self> {
        Definition::new().step(crate::domain::saga::Step::new("pay", Self::pay))
    }
}

impl Trip {
    async fn pay(&self, (): &(), _: &StepContext) -> Result<(), StepError> {
        Ok(())
    }
}

fn at(micros: u64) -> Timestamp {
    Timestamp::from_micros(micros)
}

/// A row with something in each column.
fn row() -> SagaRow {
    let saga = SagaId::new("trip", "t,1").unwrap();
    let plan = Arc::new(Trip::definition().plan().unwrap());
    let started = SagaEvent::Started {
        at: at(1),
        name: "trip".into(),
        version: 3,
        plan,
        input: Arc::default(),
        deadline: Some(at(u64::MAX)),
    };
    let (step, way, class) = (String::from("pay"), Way::Forward, crate::domain::saga::FailureClass::Unknown);
    let mut brief = Brief::first(&started);
    brief.apply(&SagaEvent::Begun { at: at(2), step: step.clone(), way, attempt: 1, until: at(9) });
    let (reason, retry_at) = ("not now".into(), Some(at(4)));
    brief.apply(&SagaEvent::Failed { at: at(3), step, way, attempt: 1, class, code: None, reason, retry_at });
    brief.apply(&SagaEvent::TurnedBack { at: at(4), reason: "late".into() });
    let (steps, reason) = (alloc::vec!["pay".into()], "who knows".into());
    brief.apply(&SagaEvent::NeedsOperator { at: at(5), steps, reason });
    brief.pass_over("new");
    SagaRow { saga, brief, position: Position::new(7).unwrap() }
}

/// Stores out there have it so. If this fails, raise the version of the projection.
#[test]
fn the_definition_is_that_which_stores_have() {
    let collection = collection_of::<SagaRow>(Name::new(SAGA_INDEX).unwrap(), 1).unwrap();
    let kind = |kind| match kind {
        ColumnType::Text => "",
        ColumnType::Integer => "#",
        _ => "?",
    };
    let columns: Vec<_> = collection.columns.iter().map(|of| format!("{}{}", kind(of.kind), of.name)).collect();
    let index = |index: &crate::values::Index| {
        let columns: Vec<_> = index.columns.iter().map(|column| column.as_str()).collect();
        format!("{}: {}", index.name, columns.join(", "))
    };
    let indexes: Vec<_> = collection.indexes.iter().map(index).collect();
    assert_eq!(
        (SagaRows::VERSION, columns.join(" ").as_str(), indexes.join("; ").as_str()),
        (
            2,
            "saga name #version phase step way #attempt #since #due reason #started_at #deadline unread #slot #position \
             open",
            "phase: phase, saga; slot: name, slot"
        )
    );
    let cells: Vec<_> = row().to_cells().unwrap().iter().map(|cell| format!("{cell:?}")).collect();
    let open = r#"{"steps":[{"step":"pay","is":"pausing","way":"forward","since":3,"due":4,"reason":"not now","doubt":true,"tried":[1,0,0]}],"back":"late","hold":{"steps":["pay"],"reason":"who knows","since":5},"pivots":["pay"]}"#;
    assert_eq!(cells[15], format!("Text({open:?})"));
    assert_eq!(
        cells[..15].join(" "),
        "Text(\"trip,t,1\") Text(\"trip\") Integer(3) Text(\"needs-operator\") Text(\"pay\") Text(\"forward\") Integer(1) Integer(5) \
         Null Text(\"who knows\") Integer(1) Integer(9223372036854775807) Text(\"new\") Integer(54287) Integer(7)"
    );
}

#[test]
fn rows_are_read_as_they_were_written() {
    let mut row = row();
    row.brief.deadline = Some(at(100));
    assert_eq!(SagaRow::from_cells(row.to_cells().unwrap()), Ok(row.clone()));
    let (at, end) = (at(6), crate::domain::saga::End::Aborted);
    row.brief.apply(&SagaEvent::Ended { at, end, left: alloc::vec!["pay".into()] });
    let cells = row.to_cells().unwrap();
    assert_eq!((&cells[13], &cells[15]), (&Cell::Null, &Cell::Null), "no slot, and nothing to go on with");
    assert_eq!(SagaRow::from_cells(cells), Ok(row));
}

#[test]
fn slots_are_the_same_for_ever() {
    let slot = |name: &str, id: &str| saga_slot(&SagaId::new(name, id).unwrap());
    assert_eq!([slot("trip", "1"), slot("trip", "2"), slot("tour", "1")], [16_332, 5_653, 6_850]);
}
