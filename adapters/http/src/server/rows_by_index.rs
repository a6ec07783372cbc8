//! `GET /projections/{name}/rows/by/{index}`: rows by the values of an index, which are read as its columns' types say.

use super::App;
use super::admission::Guest;
use super::json;
use super::projections::Version;
use super::request::{CapturedTwo, Parameters, Request, checked, two};
use super::rows::{Asking, Page, answered, other_cursor};
use crate::wire::errors::PortError as _;
use crate::wire::problem::Problem;
use crate::wire::row_objects::{RowObjects, are_alike, cell_of, kind_of};
use crate::wire::rows::Opaque;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use core::ops::Bound;
use portolan_kernel::ports::{ProjectionError, RowsAnswer, RowsQuestion, Source, Violation};
use portolan_kernel::values::{By, Cell, Collection, Cursor, Index, Name};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is wanted, before it is known of which types the columns are.
struct Wanted {
    index: Name,
    /// The values of the index's first columns, in order.
    values: Vec<String>,
    /// Or by the columns' names.
    named: BTreeMap<String, Vec<String>>,
    /// The columns that have nothing in them.
    null: Vec<String>,
    from: Option<String>,
    to: Option<String>,
}

pub(super) async fn find(
    State(app): State<Arc<App>>,
    Extension(guest): Guest,
    path: CapturedTwo,
    request: Request,
) -> Result<Response, Problem> {
    let (name, index): (Name, _) = two("name", path)?;
    let index: Name = checked("index", &index)?;
    let (parts, _) = request.into_parts();
    let mut parameters = Parameters::of(&parts)?;
    let prefer = parameters.one("version")?.map(|Version(version)| version);
    let page = Page::of(&app, &mut parameters)?;
    let (values, null) = (parameters.all("value")?, parameters.all("null")?);
    let (from, to) = (parameters.one("from")?, parameters.one("to")?);
    let wanted = Wanted { index, values, named: parameters.into_values(), null, from, to };
    answered(&app, &guest, &parts.headers, &name, async |asking| {
        json(&RowObjects::new(&found(&asking, &name, prefer, page, &wanted).await?))
    })
    .await
}

/// The page. Of which types the columns are, an answer tells; so that one is asked for first, and both have to be of rows
/// with the same columns.
async fn found(
    asking: &Asking<'_>,
    name: &Name,
    prefer: Option<u16>,
    mut page: Page,
    wanted: &Wanted,
) -> Result<RowsAnswer, Problem> {
    const ATTEMPTS: usize = 3;
    let of = |mut question: RowsQuestion| {
        question.prefer = prefer;
        question
    };
    let stays = page.after.as_ref().map(|Opaque(cursor)| Cursor::new(cursor.version, Vec::new(), cursor.key.clone()));
    let first = RowsQuestion::page(name.clone(), By::key()).limit(1).after(stays);
    let mut collection = asking.ask(of(first)).await?.collection;
    for _ in 0..ATTEMPTS {
        let by = wanted.by(&collection)?;
        if page.after.as_ref().is_some_and(|cursor| !wanted.gave(cursor, &collection)) {
            return Err(other_cursor());
        }
        let answer = asking.ask(of(page.question(name.clone(), by))).await?;
        if are_alike(&answer.collection, &collection) {
            return Ok(answer);
        }
        // Readers were switched in between.
        collection = answer.collection;
    }
    Err(ProjectionError::Busy(Source::new("the projection's rows change their columns again and again")).to_problem())
}

impl Wanted {
    fn index<'a>(&self, collection: &'a Collection) -> Result<&'a Index, Problem> {
        collection.find_index(&self.index).ok_or_else(|| {
            let there_are: Vec<&str> = collection.indexes.iter().map(|index| index.name.as_str()).collect();
            let there_are = if there_are.is_empty() { "none".to_owned() } else { there_are.join(", ") };
            let message = format!("{} has no index {}; there are: {there_are}", collection.name, self.index);
            Problem::wrong("index", "unknown-index", message)
        })
    }

    /// Whether a page in this order can have given the cursor.
    fn gave(&self, Opaque(cursor): &Opaque, collection: &Collection) -> bool {
        let Ok(index) = self.index(collection) else { return false };
        let holds = |(column, cell): (&Name, &Cell)| kind_of(collection, column).holds(cell);
        cursor.values.len() == index.columns.len() && index.columns.iter().zip(&cursor.values).all(holds)
    }

    fn by(&self, collection: &Collection) -> Result<By, Problem> {
        let index = self.index(collection)?;
        let equals =
            if self.values.is_empty() { self.by_names(collection, index)? } else { self.by_places(collection, index)? };
        let range = match (&self.from, &self.to, index.columns.get(equals.len())) {
            (None, None, _) => (Bound::Unbounded, Bound::Unbounded),
            (from, to, Some(column)) => {
                let end = |name: &str, text: &Option<String>| {
                    text.as_ref().map(|text| typed(collection, column, name, text)).transpose()
                };
                let (from, to) = (end("from", from)?, end("to", to)?);
                (from.map_or(Bound::Unbounded, Bound::Included), to.map_or(Bound::Unbounded, Bound::Excluded))
            }
            (from, ..) => {
                let name = if from.is_some() { "from" } else { "to" };
                let message = "all columns of the index have a value, so that none is left for a range";
                return Err(Problem::wrong(name, "contradiction", message));
            }
        };
        Ok(By::Index { name: index.name.clone(), equals, range })
    }

    fn by_places(&self, collection: &Collection, index: &Index) -> Result<Vec<Cell>, Problem> {
        if let Some(name) = self.named.keys().next() {
            let is_column = index.columns.iter().any(|column| **column == **name);
            let (code, message) = match is_column {
                true => ("contradiction", "values are given either by `value` or by the names of columns"),
                false => ("unknown-parameter", "there is no such parameter here, and no such column in the index"),
            };
            return Err(Problem::wrong(name, code, message));
        }
        if !self.null.is_empty() {
            return Err(Problem::wrong("null", "contradiction", "with it, values are given by the names of columns"));
        }
        if self.values.len() > index.columns.len() {
            let message = format!("the index {} has {} columns", index.name, index.columns.len());
            return Err(Problem::wrong("value", "too-many", message));
        }
        index.columns.iter().zip(&self.values).map(|(column, text)| typed(collection, column, "value", text)).collect()
    }

    fn by_names(&self, collection: &Collection, index: &Index) -> Result<Vec<Cell>, Problem> {
        let is_given =
            |column: &Name| self.named.contains_key(&**column) || self.null.iter().any(|of| **of == **column);
        let first = index.columns.iter().take_while(|column| is_given(column)).count();
        let mut unknown = Vec::new();
        for name in self.named.keys().chain(&self.null) {
            match index.columns.iter().position(|column| **column == **name) {
                Some(at) if at < first => {}
                Some(_) => unknown.push(Violation::new(
                    name.as_str(),
                    "contradiction",
                    "the columns before it in the index have no value",
                )),
                None => unknown.push(Violation::new(
                    name.as_str(),
                    "unknown-parameter",
                    "there is no such parameter here, and no such column in the index",
                )),
            }
        }
        if !unknown.is_empty() {
            return Err(Problem::invalid_request(unknown));
        }
        let value = |column: &Name| match self.named.get(&**column).map(Vec::as_slice) {
            None => Ok(Cell::Null),
            Some([text]) if !self.null.iter().any(|of| **of == **column) => typed(collection, column, column, text),
            Some(_) => Err(Problem::wrong(column, "repeated", "it can be given only once")),
        };
        index.columns.iter().take(first).map(value).collect()
    }
}

fn typed(collection: &Collection, column: &Name, parameter: &str, text: &str) -> Result<Cell, Problem> {
    cell_of(kind_of(collection, column), text)
        .map_err(|wanted| Problem::wrong(parameter, "wrong-type", format!("{wanted}: a value of the column {column}")))
}
