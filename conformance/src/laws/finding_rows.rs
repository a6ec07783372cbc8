//! RM-02: rows by key, by index and by listing, compared with a model that sorts and filters.

use crate::law::law;
use crate::rows::{AskRows, Rows, account, accounts, cells, key, named};
use crate::{Broken, Place, Trial, Verdict, expect_eq};
use core::cmp::Ordering;
use core::ops::{Bound, RangeBounds};
use portolan_kernel::ports::ReadModelStore;
use portolan_kernel::values::{Batch, By, Cell, Collection, Direction, Find, KeyedRow, RowKey};
use std::collections::BTreeMap;

law! {
    dyn ReadModelStore, rm_02_finding, "RM-02",
    "Rows are got by key, found by each declared index and listed by key, forward and backward, within bounds, page \
     after page by cursor: each row once, in order, with its cells as they were put. A missing row is no error. Rows \
     with equal values in an index are ordered by key.",
    checks: [
        by_key, cells_come_back, keys_are_compared_byte_for_byte, values_are_told_apart_and_ordered,
        both_zeros_are_one_value, finds_what_a_model_finds,
    ],
}

async fn by_key(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    let store = accounts(trial).await?;
    expect_eq!(store.got(&["a"]).await?, [], "a missing row");
    expect_eq!(store.listed(Find::all(named("accounts"))).await?, [], "the rows of an empty version");
    let rows = ["b", "a", "c"].map(|of| account(of, of, 1));
    store
        .moved("p", 1, |batch| rows.iter().fold(batch, |batch, row| batch.put(named("accounts"), 1, row.clone())))
        .await?;
    let [b, a, c] = rows;
    expect_eq!(
        store.got(&["c", "x", "a"]).await?,
        [c.clone(), a.clone()],
        "the rows there are, as they were asked for"
    );
    expect_eq!(store.got(&[]).await?, [], "no rows");
    expect_eq!(store.listed(Find::all(named("accounts")).limit(1)).await?, [a, b, c], "all rows, one a page");
    Ok(())
}

async fn cells_come_back(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    let store = accounts(trial).await?;
    let mut rows = Vec::new();
    let mut add = |at: usize, values: Vec<Cell>| {
        for cell in values {
            let mut cells = cells(&format!("owner {}", rows.len()), 1);
            cells[at] = cell;
            rows.push(KeyedRow::new(key(&format!("k-{:03}", rows.len())), cells));
        }
    };
    let texts = || ["", " ", "a\u{0}b\n", "\u{e9}", "e\u{301}", "1", "true", "null", "\u{1F980}", "'\"\\%_;--"];
    add(0, texts().map(|text| Cell::Text(text.into())).into());
    add(1, [0, -1, i64::MIN, i64::MAX, (1 << 53) + 1].map(Cell::Integer).into());
    add(2, [0.0, -1.5, 1e300, 5e-324, f64::MIN_POSITIVE, f64::INFINITY, f64::NEG_INFINITY, 3.0].map(Cell::Real).into());
    add(3, [true, false].map(Cell::Bool).into());
    add(4, [&b""[..], b"\0", b"text", &[255; 300]].map(|bytes| Cell::Bytes(bytes.into())).into());
    add(5, [r#"{"a": [1, 2.50, "x"]}"#, "null", "17", r#""text""#].map(|json| Cell::Text(json.into())).into());
    (0..7).for_each(|at| add(at, vec![Cell::Null]));
    for (n, some) in (1..).zip(rows.chunks(8)) {
        let puts = |batch| some.iter().fold(batch, |batch: Batch, row| batch.put(named("accounts"), 1, row.clone()));
        store.moved("p", n, puts).await?;
    }
    let found = store.listed(Find::all(named("accounts")).limit(5)).await?;
    expect_eq!(found.len(), rows.len(), "rows of all kinds of cells");
    for (found, put) in found.iter().zip(&rows) {
        expect_eq!(found, put, "the cells of a row, as they were put");
        // Equal is not enough: a whole number is none with a fraction.
        let kinds = |row: &KeyedRow| row.cells.iter().map(core::mem::discriminant).collect::<Vec<_>>();
        expect_eq!(kinds(found), kinds(put), "the kinds of the cells of {}", put.key);
    }
    Ok(())
}

async fn keys_are_compared_byte_for_byte(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    let store = accounts(trial).await?;
    let longest = "x".repeat(512);
    let keys =
        ["a", "A", "a ", " a", "a%", "a_", "a/b", "\u{e9}", "e\u{301}", "\u{1F980}", "1", "01", "10", "9", &longest];
    // The longest key is larger than some stores take in an index.
    let row = |(n, of): (usize, &&str)| account(of, &format!("owner {n}"), 1);
    let mut rows: Vec<_> = keys.iter().enumerate().map(row).collect();
    for (n, some) in (1..).zip(rows.chunks(5)) {
        let put = |batch: Batch, row: &KeyedRow| batch.put(named("accounts"), 1, row.clone());
        store.moved("p", n, |batch| some.iter().fold(batch, put)).await?;
    }
    for row in &rows {
        expect_eq!(store.got(&[&row.key]).await?, std::slice::from_ref(row), "the row {:?}", row.key);
    }
    rows.sort_unstable_by(|one, other| one.key.as_bytes().cmp(other.key.as_bytes()));
    let listed = store.listed(Find::all(named("accounts")).limit(4)).await?;
    expect_eq!(listed, rows, "rows in the order of the bytes of their keys");
    Ok(())
}

/// A row a value: found by it alone, and listed in its place.
async fn values_are_told_apart_and_ordered(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    let texts = ["", " ", "Ann", "Ann ", "Anna", "ann", "ann%", "e\u{301}", "\u{e9}", "\u{ffff}", "\u{1F980}"];
    let reals = [f64::NEG_INFINITY, -2.5, -1.0, 0.0, 5e-324, 0.5, 1.0, 10.0, 1e300, f64::INFINITY];
    let integers = [i64::MIN, -300, -2, 0, 1, 2, 10, 300, (1 << 53) + 1, i64::MAX];
    for (index, at, values) in [
        ("owner", 0, texts.map(|text| Cell::Text(text.into())).to_vec()),
        ("rate and photo", 2, reals.map(Cell::Real).to_vec()),
        ("richest", 1, integers.map(Cell::Integer).to_vec()),
    ] {
        let place = Place::fresh().map_err(fresh)?;
        let store = trial.open_at(&place).await.map_err(opened)?;
        crate::rows::set_up(&store).await?;
        let row = |(n, value): (usize, &Cell)| {
            let of = format!("k-{}", values.len() - n);
            let mut cells = cells(&of, 1);
            cells[at] = value.clone();
            KeyedRow::new(key(&of), cells)
        };
        let rows: Vec<_> = values.iter().enumerate().map(row).collect();
        for (n, some) in (1..).zip(rows.chunks(5)) {
            let put = |batch: Batch, row: &KeyedRow| batch.put(named("accounts"), 1, row.clone());
            store.moved("p", n, |batch| some.iter().fold(batch, put)).await?;
        }
        let listed = store.listed(Find::by(named("accounts"), crate::rows::by_index(index)).limit(3)).await?;
        expect_eq!(listed, rows, "rows in the order of the index {index}");
        for (value, row) in values.iter().zip(&rows) {
            // The column before this one in the index is the same for all.
            let equals = if index == "richest" { vec![Cell::Bool(true), value.clone()] } else { vec![value.clone()] };
            let found = store.listed(Find::equal(named("accounts"), named(index), equals)).await?;
            expect_eq!(found, std::slice::from_ref(row), "the row with {value:?} in the index {index}");
        }
        for (n, value) in values.iter().enumerate() {
            for (range, expected) in [
                ((Bound::Included(value.clone()), Bound::Unbounded), &rows[n..]),
                ((Bound::Excluded(value.clone()), Bound::Unbounded), &rows[n + 1..]),
                ((Bound::Unbounded, Bound::Included(value.clone())), &rows[..=n]),
                ((Bound::Unbounded, Bound::Excluded(value.clone())), &rows[..n]),
            ] {
                let equals = if index == "richest" { vec![Cell::Bool(true)] } else { Vec::new() };
                let by = By::Index { name: named(index), equals, range };
                let found = store.listed(Find::by(named("accounts"), by.clone()).limit(4)).await?;
                expect_eq!(found, expected, "the rows of {by:?}");
            }
        }
    }
    Ok(())
}

async fn both_zeros_are_one_value(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    let store = accounts(trial).await?;
    let rows = [("a", 0.0), ("b", -0.0), ("c", 0.0), ("d", -0.0)].map(|(of, rate)| {
        let mut row = account(of, of, 1);
        row.cells[2] = Cell::Real(rate);
        row
    });
    let put = |batch: Batch, row: &KeyedRow| batch.put(named("accounts"), 1, row.clone());
    store.moved("p", 1, |batch| rows.iter().fold(batch, put)).await?;
    for zero in [0.0, -0.0] {
        let by = crate::rows::equal_to("rate and photo", [Cell::Real(zero)]);
        let found = store.listed(Find::by(named("accounts"), by).limit(1)).await?;
        expect_eq!(found, rows, "rows with {zero:?} in an index, by key");
    }
    Ok(())
}

fn fresh(error: std::io::Error) -> Broken {
    Broken::new("making a place", "a fresh folder", error.to_string())
}

fn opened(error: String) -> Broken {
    Broken::new("opening the store at a fresh place", "an open store", error)
}

/// Random rows, changed at random, and every kind of question about them.
async fn finds_what_a_model_finds(trial: &Trial<dyn ReadModelStore>) -> Verdict {
    let store = accounts(trial).await?;
    let mut random = fastrand::Rng::new();
    let mut model = BTreeMap::new();
    let changes = store.limits().batch_changes.min(8);
    for batch in 1..=trial.rounds(30).max(12) as u64 {
        let mut put = BTreeMap::new();
        for _ in 0..random.u32(1..=changes) {
            let of = format!("k-{}", random.u32(0..60));
            let row = (random.u32(0..5) > 0).then(|| any_cells(&mut random, &of));
            put.insert(key(&of), row);
        }
        let change = |batch: Batch, (key, cells): (&RowKey, &Option<Vec<Cell>>)| match cells {
            Some(cells) => batch.put(named("accounts"), 1, KeyedRow::new(key.clone(), cells.clone())),
            None => batch.delete(named("accounts"), 1, key.clone()),
        };
        store.moved("p", batch, |batch| put.iter().fold(batch, change)).await?;
        for (key, cells) in put {
            match cells {
                Some(cells) => model.insert(key, cells),
                None => model.remove(&key),
            };
        }
    }
    let collection = crate::rows::collection(1);
    for _ in 0..trial.rounds(150).max(80) {
        let find = any_question(&mut random, &collection);
        let expected = found_in(&model, &collection, &find);
        expect_eq!(store.listed(find.clone()).await?, expected, "{find:?} of {} rows", model.len());
        goes_on(&store, &find, &expected).await?;
    }
    Ok(())
}

/// A page that is not the last says where to go on, and only such a one. One that ends for want of bytes may be the last
/// and not know it; the few small rows here are far from that.
async fn goes_on(store: &Rows, find: &Find, expected: &[KeyedRow]) -> Verdict {
    let page = store.answered(store.find(find.clone())).await?;
    if page.rows.len() == expected.len() && expected.len() < find.limit as usize {
        expect_eq!(page.next, None, "where to go on after all rows of {find:?}");
    }
    Ok(())
}

/// Few values a column, so that many rows share them.
fn any_cells(random: &mut fastrand::Rng, of: &str) -> Vec<Cell> {
    let texts = ["", "Ann", "ann", "Ann ", "Anna", "\u{c5}sa", "\u{1F980}", "\u{ffff}"];
    let mut cells = vec![
        Cell::Text(texts[random.usize(..texts.len())].into()),
        any_cell(random, 1),
        any_cell(random, 2),
        Cell::Bool(random.bool()),
        any_cell(random, 4),
        Cell::Text("{}".into()),
        Cell::Text(of.into()),
    ];
    for cell in &mut cells {
        if random.u32(0..8) == 0 {
            *cell = Cell::Null;
        }
    }
    cells
}

/// A value of the column at this place.
fn any_cell(random: &mut fastrand::Rng, at: usize) -> Cell {
    let texts = ["", "Ann", "Anna", "ann", "Z", "\u{ffff}"];
    let bytes: [&[u8]; 5] = [b"", b"\0", b"\0\0", b"\x01", &[255, 255]];
    match at {
        0 | 6 => Cell::Text(texts[random.usize(..texts.len())].into()),
        1 => Cell::Integer([i64::MIN, -300, -2, -1, 0, 1, 2, 10, 300, i64::MAX][random.usize(..10)]),
        2 => Cell::Real([f64::NEG_INFINITY, -2.5, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 10.0, 1e200][random.usize(..10)]),
        3 => Cell::Bool(random.bool()),
        _ => Cell::Bytes(bytes[random.usize(..bytes.len())].into()),
    }
}

fn any_question(random: &mut fastrand::Rng, collection: &Collection) -> Find {
    let by = if random.u32(0..3) == 0 {
        let mut bound = || {
            let at = key(&format!("k-{}", random.u32(0..60)));
            any_bound(random, at)
        };
        By::Key(bound(), bound())
    } else {
        let index = &collection.indexes[random.usize(..collection.indexes.len())];
        let columns: Vec<_> = index.columns.iter().filter_map(|column| collection.position_of(column)).collect();
        let mut value = |at: usize| if random.u32(0..6) == 0 { Cell::Null } else { any_cell(random, at) };
        let mut equals: Vec<_> = columns.iter().map(|at| value(*at)).collect();
        let rest = columns.last().map(|at| (value(*at), value(*at)));
        equals.truncate(random.usize(..=columns.len()));
        let next = columns.get(equals.len()).copied();
        let range = match (next, rest) {
            (Some(at), _) if random.bool() => {
                let (from, to) = (any_cell(random, at), any_cell(random, at));
                (any_bound(random, from), any_bound(random, to))
            }
            _ => (Bound::Unbounded, Bound::Unbounded),
        };
        By::Index { name: index.name.clone(), equals, range }
    };
    let find = Find::by(named("accounts"), by).limit(random.u32(1..9));
    if random.bool() { find.backward() } else { find }
}

fn any_bound<T>(random: &mut fastrand::Rng, at: T) -> Bound<T> {
    match random.u32(0..3) {
        0 => Bound::Unbounded,
        1 => Bound::Included(at),
        _ => Bound::Excluded(at),
    }
}

fn found_in(model: &BTreeMap<RowKey, Vec<Cell>>, collection: &Collection, find: &Find) -> Vec<KeyedRow> {
    let values = |row: &KeyedRow| match &find.by {
        By::Key(..) => Vec::new(),
        By::Index { name, .. } => {
            collection.find_index(name).map_or_else(Vec::new, |index| collection.index_values(index, &row.cells))
        }
    };
    let mut rows: Vec<_> = model.iter().map(|(key, cells)| KeyedRow::new(key.clone(), cells.clone())).collect();
    rows.retain(|row| match &find.by {
        By::Key(from, to) => (from.as_ref(), to.as_ref()).contains(&row.key),
        By::Index { equals, range, .. } => {
            let values = values(row);
            values.starts_with(equals)
                && values.get(equals.len()).is_none_or(|next| (range.0.as_ref(), range.1.as_ref()).contains(next))
        }
    });
    let order = |one: &KeyedRow, other: &KeyedRow| -> Ordering {
        values(one).cmp(&values(other)).then_with(|| one.key.cmp(&other.key))
    };
    rows.sort_by(order);
    if find.direction == Direction::Backward {
        rows.reverse();
    }
    rows
}
