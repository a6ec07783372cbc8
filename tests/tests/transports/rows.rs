//! Rows: by key, by index, in pages; and those that cannot be had.

use super::outcome::{frontier, key, name, outcome, position_of};
use super::table::{come_out_alike, steps};
use core::ops::Bound;
use portolan::application::Ports;
use portolan::ports::RowsQuestion;
use portolan::values::{By, Cell, Cursor, Edition, Position};

async fn asked(ports: &Ports, question: RowsQuestion) -> String {
    outcome(ports.projections.rows(question).await)
}

fn by(index: &str, equals: Vec<Cell>, range: (Bound<Cell>, Bound<Cell>)) -> RowsQuestion {
    RowsQuestion::page(name("jars"), By::Index { name: name(index), equals, range })
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

const ALL: (Bound<Cell>, Bound<Cell>) = (Bound::Unbounded, Bound::Unbounded);

/// Everything but the event that cannot be read is in the rows.
async fn waited_for(ports: &Ports) -> String {
    outcome(ports.projections.wait_for(name("jars"), position_of(ports, "jar-c").await).await)
}

async fn waited_for_what_is_parked(ports: &Ports) -> String {
    outcome(ports.projections.wait_for(name("jars"), position_of(ports, "jar-odd").await).await)
}

async fn waited_for_one_that_has_stopped(ports: &Ports) -> String {
    outcome(ports.projections.wait_for(name("strict"), frontier(ports).await).await)
}

async fn waited_for_nobody(ports: &Ports) -> String {
    outcome(ports.projections.wait_for(name("größer/?"), frontier(ports).await).await)
}

async fn by_key(ports: &Ports) -> String {
    asked(ports, RowsQuestion::keys(name("jars"), ["c", "größer/ ?", "a"].map(key).into())).await
}

async fn by_no_key(ports: &Ports) -> String {
    asked(ports, RowsQuestion::keys(name("jars"), Vec::new())).await
}

async fn all(ports: &Ports) -> String {
    asked(ports, RowsQuestion::page(name("jars"), By::key())).await
}

async fn all_folded_live(ports: &Ports) -> String {
    asked(ports, RowsQuestion::page(name("fresh"), By::key())).await
}

async fn by_range_of_keys(ports: &Ports) -> String {
    let range = By::Key(Bound::Excluded(key("a")), Bound::Included(key("c")));
    asked(ports, RowsQuestion::page(name("jars"), range)).await
}

async fn by_prefix(ports: &Ports) -> String {
    asked(ports, RowsQuestion::page(name("jars"), By::prefix(key("b")))).await
}

async fn by_index(ports: &Ports) -> String {
    asked(ports, by("owner", vec![text("ann")], ALL)).await
}

async fn by_range_of_an_index(ports: &Ports) -> String {
    let range = (Bound::Included(Cell::Integer(5)), Bound::Excluded(Cell::Integer(40)));
    asked(ports, by("coins", vec![], range).backward()).await
}

/// A page of one row after another.
async fn by_cursor(ports: &Ports) -> String {
    let mut told = Vec::new();
    let mut after: Option<Cursor> = None;
    loop {
        let question = by("owner", vec![], ALL).backward().limit(1).after(after.take());
        let answer = ports.projections.rows(question).await;
        after = answer.as_ref().ok().and_then(|answer| answer.next.clone());
        told.push(outcome(answer));
        if after.is_none() {
            return told.join("; ");
        }
    }
}

async fn at_least(ports: &Ports) -> String {
    asked(ports, by("owner", vec![text("bob")], ALL).at_least(Some(position_of(ports, "jar-b").await))).await
}

async fn at_least_what_is_parked(ports: &Ports) -> String {
    asked(ports, by("owner", vec![text("bob")], ALL).at_least(Some(position_of(ports, "jar-odd").await))).await
}

async fn in_a_version_that_is_preferred(ports: &Ports) -> String {
    asked(ports, RowsQuestion::keys(name("jars"), vec![key("a")]).prefer(1)).await
}

async fn in_a_version_that_is_not_there(ports: &Ports) -> String {
    asked(ports, RowsQuestion::keys(name("jars"), vec![key("a")]).prefer(9)).await
}

async fn by_no_index(ports: &Ports) -> String {
    asked(ports, by("größer", vec![text("ann")], ALL)).await
}

async fn by_cells_of_another_type(ports: &Ports) -> String {
    asked(ports, by("coins", vec![text("ann")], ALL)).await
}

async fn by_too_many_cells(ports: &Ports) -> String {
    asked(ports, by("owner", vec![text("ann"), text("bob")], ALL)).await
}

async fn page_of_nothing(ports: &Ports) -> String {
    asked(ports, RowsQuestion::page(name("jars"), By::key()).limit(0)).await
}

async fn of_nobody(ports: &Ports) -> String {
    asked(ports, RowsQuestion::page(name("größer/?"), By::key())).await
}

async fn not_ready(ports: &Ports) -> String {
    asked(ports, RowsQuestion::page(name("held"), By::key())).await
}

/// A cursor of a rebuild that nobody has made.
async fn gone(ports: &Ports) -> String {
    let cursor = Cursor::new(Edition { version: 1, rebuild: 7 }.to_stored(), vec![], key("a"));
    asked(ports, RowsQuestion::page(name("jars"), By::key()).after(Some(cursor))).await
}

async fn at_a_position_that_no_log_has(ports: &Ports) -> String {
    let waiting = ports.projections.wait_for(name("jars"), Position::MAX);
    // It goes on for as long as nobody writes so much.
    let is_waiting = tokio::time::timeout(core::time::Duration::from_millis(200), waiting).await.is_err();
    format!("waits: {is_waiting}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_come_out_alike() {
    come_out_alike(&steps![
        waited_for => "()",
        waited_for_what_is_parked => "Parked",
        waited_for_one_that_has_stopped => "Stopped",
        waited_for_nobody => "UnknownProjection",
        by_key => "RowsAnswer",
        by_no_key => "RowsAnswer",
        all => "RowsAnswer",
        all_folded_live => "RowsAnswer",
        by_range_of_keys => "RowsAnswer",
        by_prefix => "RowsAnswer",
        by_index => "RowsAnswer",
        by_range_of_an_index => "RowsAnswer",
        by_cursor => "RowsAnswer",
        at_least => "RowsAnswer",
        at_least_what_is_parked => "Wait(Parked",
        in_a_version_that_is_preferred => "RowsAnswer",
        in_a_version_that_is_not_there => "RowsAnswer",
        by_no_index => "Invalid",
        by_cells_of_another_type => "Invalid",
        by_too_many_cells => "Invalid",
        page_of_nothing => "Invalid",
        of_nobody => "UnknownProjection",
        not_ready => "NotReady",
        gone => "Gone",
        at_a_position_that_no_log_has => "waits: true",
    ])
    .await;
}
