//! `/projections/{name}/rows`: by key, by index, and whole.

use crate::support::Running;
use crate::support::projections::{Table, at, key, name};
use futures::TryStreamExt as _;
use portolan_kernel::domain::{CellValue as _, ReadModel, Row, RowColumn, RowValueError};
use portolan_kernel::drivers::ProjectionRegistryExt as _;
use portolan_kernel::ports::{ProjectionError, ProjectionRegistry as _, RowsQuestion};
use portolan_kernel::values::{By, Cell, ColumnType, Cursor};
use rstest::rstest;
use serde_json::{Value, json};

const ROWS: &str = "/projections/balances/rows";

fn keys(page: &Value) -> Vec<&str> {
    page["rows"].as_array().unwrap().iter().map(|row| row["key"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_row_is_an_object() {
    let server = Running::start().await;
    let ann = json!({
        "owner": "Ann", "balance": 5, "rate": 0.5, "open": true, "notes": { "b": [1.0, 2] }, "seal": "AP8=",
    });
    let told = server.get(&format!("{ROWS}/ann-1")).await;
    assert_eq!(told.is_ok(), json!({ "projection": "balances", "edition": "2.1", "key": "ann-1", "row": ann }));
    // JSON is embedded text for text.
    assert!(String::from_utf8(told.body).unwrap().contains(r#""notes":{"b":[1.0, 2]}"#));
    let row = async |of: &str| server.get(&format!("{ROWS}/{of}")).await.is_ok()["row"].clone();
    let second = row("ann-2").await;
    assert_eq!((&second["balance"], &second["notes"]), (&json!(i64::MAX), &json!("no json")));
    assert_eq!((second["rate"].as_f64(), &second["seal"]), (Some(-0.25), &json!("")));
    assert_eq!((&row("ann-3").await["rate"], &row("ann-3").await["notes"]), (&json!("inf"), &json!(null)));
    assert_eq!(row("b%2Fo%20b%25").await["notes"], json!(7));

    let problem = server.get(&format!("{ROWS}/bob%2F1")).await.is_problem(404, "no-such-row");
    assert_eq!((&problem["projection"], &problem["key"]), (&json!("balances"), &json!("bob/1")));
    server.get("/projections/nobody/rows/ann-1").await.is_problem(404, "unknown-projection");
    server.get(&format!("{ROWS}/a?x=1")).await.is_problem(422, "invalid-request");
}

#[rstest]
#[case("", &["ann-1", "ann-2", "ann-3", "b/o b%", "nobody"])]
#[case("?direction=backward&limit=2", &["nobody", "b/o b%"])]
#[case("?from=ann-2&to=b%2Fo+b%25", &["ann-2", "ann-3"])]
#[case("?prefix=ann-&direction=backward", &["ann-3", "ann-2", "ann-1"])]
#[case("?prefix=ann--", &[])]
#[case("?keys=nobody&keys=bob&keys=ann-1", &["nobody", "ann-1"])]
#[case("/by/owner?value=Ann", &["ann-1", "ann-3", "ann-2"])]
#[case("/by/owner?owner=Ann&limit=1&direction=backward", &["ann-2"])]
#[case("/by/owner?value=Ann&value=20", &["ann-3"])]
#[case("/by/owner?balance=-7&owner=B%26b", &["b/o b%"])]
#[case("/by/owner?owner=Ann&from=6&to=9223372036854775807", &["ann-3"])]
#[case("/by/owner?null=owner", &["nobody"])]
#[case("/by/owner?null=owner&balance=0", &["nobody"])]
#[case("/by/owner?owner=", &[])]
#[case("/by/owner", &["nobody", "ann-1", "ann-3", "ann-2", "b/o b%"])]
#[case("/by/rate?from=-1&to=inf", &["ann-2", "nobody", "ann-1", "b/o b%"])]
#[case("/by/rate?rate=inf", &["ann-3"])]
#[case("/by/open?open=false", &["ann-2", "nobody"])]
#[case("/by/seal?seal=AP8%3D", &["ann-1"])]
#[case("/by/seal?value=", &["ann-2"])]
#[tokio::test]
async fn pages_of_rows(#[case] asked: &str, #[case] found: &[&str]) {
    let server = Running::start().await;
    let page = server.get(&format!("{ROWS}{asked}")).await.is_ok();
    assert_eq!(keys(&page), found);
    assert_eq!((&page["projection"], &page["edition"]), (&json!("balances"), &json!("2.1")));
}

#[rstest]
#[case("?limit=2")]
#[case("?limit=2&direction=backward")]
#[case("/by/owner?limit=2")]
#[case("/by/owner?limit=1&direction=backward")]
#[case("/by/rate?limit=3&from=-1")]
#[tokio::test]
async fn a_cursor_leads_to_the_next_page(#[case] asked: &str) {
    let server = Running::start().await;
    let whole = server.get(&format!("{ROWS}{}", asked.replace("limit=", "limit=90"))).await.is_ok();
    let mut found = Vec::new();
    let mut page = server.get(&format!("{ROWS}{asked}")).await.is_ok();
    loop {
        found.extend(page["rows"].as_array().unwrap().clone());
        let Some(cursor) = page["next"].as_str() else { break };
        page = server.get(&format!("{ROWS}{asked}&cursor={cursor}")).await.is_ok();
    }
    assert_eq!((&json!(found), &whole["next"]), (&whole["rows"], &json!(null)));
}

#[rstest]
#[case("?limit=0", "limit", "wrong-value")]
#[case("?direction=up", "direction", "wrong-value")]
#[case("?cursor=x", "cursor", "wrong-value")]
#[case("?version=x", "version", "wrong-value")]
#[case("?keys=a&from=b", "from", "unknown-parameter")]
#[case("?keys=", "keys", "wrong-value")]
#[case("?from=%00", "from", "wrong-value")]
#[case("?prefix=a&to=b", "prefix", "contradiction")]
#[case("?owner=Ann", "owner", "unknown-parameter")]
#[case("/by/nothing?value=1", "index", "unknown-index")]
#[case("/by/owner?value=Ann&value=five", "value", "wrong-type")]
#[case("/by/owner?owner=Ann&balance=5.0", "balance", "wrong-type")]
#[case("/by/owner?owner=Ann&balance=9223372036854775808", "balance", "wrong-type")]
#[case("/by/owner?owner=Ann&from=x", "from", "wrong-type")]
#[case("/by/owner?owner=Ann&to=x", "to", "wrong-type")]
#[case("/by/owner?owner=Ann&owner=Bob", "owner", "repeated")]
#[case("/by/owner?owner=Ann&null=owner", "owner", "repeated")]
#[case("/by/owner?balance=5", "balance", "contradiction")]
#[case("/by/owner?value=Ann&owner=Ann", "owner", "contradiction")]
#[case("/by/owner?value=Ann&x=1", "x", "unknown-parameter")]
#[case("/by/owner?x=1", "x", "unknown-parameter")]
#[case("/by/owner?null=x", "x", "unknown-parameter")]
#[case("/by/owner?value=Ann&null=balance", "null", "contradiction")]
#[case("/by/owner?value=Ann&value=5&value=1", "value", "too-many")]
#[case("/by/owner?value=Ann&value=5&to=1", "to", "contradiction")]
#[case("/by/rate?rate=NaN", "rate", "wrong-type")]
#[case("/by/open?open=yes", "open", "wrong-type")]
#[case("/by/seal?seal=%2F", "seal", "wrong-type")]
#[tokio::test]
async fn wrong_questions_are_named(#[case] asked: &str, #[case] path: &str, #[case] code: &str) {
    let server = Running::start().await;
    let problem = server.get(&format!("{ROWS}{asked}")).await.is_problem(422, "invalid-request");
    let wrong = &problem["violations"][0];
    assert_eq!((&wrong["path"], &wrong["code"]), (&json!(path), &json!(code)), "{problem}");
}

#[tokio::test]
async fn a_cursor_belongs_to_its_order_and_its_edition() {
    let server = Running::start().await;
    let next = async |asked: &str| {
        let page = server.get(&format!("{ROWS}{asked}")).await.is_ok();
        page["next"].as_str().unwrap().to_owned()
    };
    let (by_key, by_owner, by_rate) =
        (next("?limit=1").await, next("/by/owner?limit=1").await, next("/by/rate?limit=1").await);
    for (asked, cursor) in
        [("?", &by_owner), ("/by/owner?", &by_key), ("/by/owner?", &by_rate), ("/by/open?", &by_rate)]
    {
        let problem = server.get(&format!("{ROWS}{asked}cursor={cursor}")).await.is_problem(422, "invalid-request");
        assert_eq!(problem["violations"][0]["path"], "cursor", "{asked}");
    }
    let mut other = Table::accounts();
    other.collection.version = 3;
    *server.projections.tables.lock().unwrap() = vec![other];
    for (asked, cursor) in [("?", &by_key), ("/by/owner?", &by_owner)] {
        let problem = server.get(&format!("{ROWS}{asked}cursor={cursor}")).await.is_problem(410, "rows-gone");
        assert_eq!((&problem["projection"], &problem["edition"]), (&json!("balances"), &json!("2.1")));
    }
}

/// The types of the columns are asked for before the rows: readers may be switched in between.
#[tokio::test]
async fn values_are_of_the_types_of_the_edition_that_answers() {
    let server = Running::start().await;
    let of = |edition: &str, kind, owner: Cell| {
        Table::new(edition, &[("owner", kind)], &[("owner", &["owner"])]).row("a", vec![owner])
    };
    let numbers = of("1", ColumnType::Integer, Cell::Integer(7));
    let texts = of("2", ColumnType::Text, Cell::Text("7".into()));
    *server.projections.tables.lock().unwrap() = vec![numbers.clone(), texts.clone()];
    let page = server.get(&format!("{ROWS}/by/owner?owner=7")).await.is_ok();
    assert_eq!((page["edition"].as_str(), keys(&page)), (Some("2"), vec!["a"]));

    // A listing stays on its edition, with its types.
    let two = numbers.clone().row("b", vec![Cell::Integer(7)]);
    *server.projections.tables.lock().unwrap() = vec![two.clone()];
    let first = server.get(&format!("{ROWS}/by/owner?owner=7&limit=1")).await.is_ok();
    *server.projections.tables.lock().unwrap() = vec![texts.clone()];
    *server.projections.beside.lock().unwrap() = Some(two);
    let cursor = first["next"].as_str().unwrap();
    let second = server.get(&format!("{ROWS}/by/owner?owner=7&cursor={cursor}")).await.is_ok();
    assert_eq!((second["edition"].as_str(), keys(&second)), (Some("1"), vec!["b"]));

    let mut flutter: Vec<Table> = (0..4).flat_map(|_| [numbers.clone(), texts.clone()]).collect();
    flutter.truncate(6);
    *server.projections.tables.lock().unwrap() = flutter;
    server.get(&format!("{ROWS}/by/owner?owner=7")).await.is_problem(503, "busy");
}

#[tokio::test]
async fn the_preferred_version_and_the_position_are_asked_for() {
    let server = Running::start().await;
    let headers = ["Portolan-At-Least: 7", "Prefer: wait=3"];
    for asked in ["?version=9", "?version=9&keys=a", "/ann-1?version=9", "/by/owner?version=9&owner=Ann"] {
        let reply = server.send("GET", &format!("{ROWS}{asked}"), &headers, "").await;
        reply.is_ok();
        assert_eq!(reply.header("preference-applied"), Some("wait=3"));
        let seen = core::mem::take(&mut *server.projections.asked.lock().unwrap());
        assert!(
            !seen.is_empty() && seen.iter().all(|of| (of.prefer, of.at_least) == (Some(9), Some(at(7)))),
            "{seen:?}"
        );
    }
    let waiting = ["Portolan-At-Least: 8", "Request-Timeout: 0.02"];
    for asked in ["", "?keys=a", "/ann-1", "/by/owner?owner=Ann"] {
        let reply = server.send("GET", &format!("{ROWS}{asked}"), &waiting, "").await;
        assert_eq!(reply.is_problem(503, "projection-behind")["position"], "8");
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    for wrong in ["Portolan-At-Least: x", "Request-Timeout: x"] {
        let problem = server.send("GET", ROWS, &[wrong], "").await.is_problem(422, "invalid-request");
        assert_eq!(problem["violations"][0]["path"], wrong.split(':').next().unwrap());
    }
}

#[rstest]
#[case("{}")]
#[case("[]")]
#[case(r#"{"prefer":0,"rows":{"keys":["a"]}}"#)]
#[case(r#"{"rows":{"keys":[""]}}"#)]
#[case(r#"{"rows":{"page":{"by":{"key":[]},"limit":1}}}"#)]
#[case(r#"{"rows":{"page":{"by":{"index":{"name":"owner","equals":["Ann"]}},"limit":1}}}"#)]
#[case(r#"{"rows":{"page":{"by":{"key":{}},"limit":1,"x":1}}}"#)]
#[case(r#"{"rows":{"page":{"by":{"key":{}},"limit":-1}}}"#)]
#[tokio::test]
async fn what_is_no_question_of_the_port(#[case] body: &str) {
    let server = Running::start().await;
    server.post(ROWS, &[], body).await.is_problem(422, "invalid-request");
    assert!(server.projections.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_question_of_the_port_arrives_as_it_was_and_so_does_its_answer() {
    let server = Running::start().await;
    let client = server.client().await;
    let accounts = Table::accounts();
    let owner = |range| By::Index { name: name("owner"), equals: vec![Cell::Text("Ann".into())], range };
    use core::ops::Bound::{Excluded, Included, Unbounded};
    let cursor = Cursor::new(accounts.collection.version, vec![], key("ann-2"));
    let questions = [
        RowsQuestion::page(name("balances"), By::key()).limit(2).prefer(3),
        RowsQuestion::page(name("balances"), By::key()).backward().after(Some(cursor)),
        RowsQuestion::page(name("balances"), owner((Excluded(Cell::Integer(5)), Included(Cell::Integer(i64::MAX))))),
        RowsQuestion::page(name("balances"), owner((Unbounded, Unbounded))).limit(1).at_least(Some(at(7))),
        RowsQuestion::keys(name("balances"), vec![key("b/o b%"), key("bob")]),
    ];
    for question in questions {
        let direct = server.projections.rows(question.clone()).await.unwrap();
        let remote = client.rows(question.clone()).await.unwrap();
        assert_eq!(format!("{remote:?}"), format!("{direct:?}"));
        let asked = core::mem::take(&mut *server.projections.asked.lock().unwrap());
        assert_eq!(asked, [question.clone(), question]);
    }
    let many = RowsQuestion::keys(name("balances"), vec![key("a"), key("b"), key("c"), key("d")]);
    assert!(matches!(client.rows(many).await, Err(ProjectionError::TooLarge { size: 4, limit: 3, .. })));
    let none = client.rows(RowsQuestion::page(name("balances"), By::key()).limit(0)).await;
    assert!(matches!(&none, Err(ProjectionError::Invalid(why)) if why.contains("at least one row")), "{none:?}");
}

#[tokio::test]
async fn what_the_server_does_not_take_is_too_large() {
    let server = Running::configured(|config| config.body_bytes = 1_000).await;
    let many = (0..500).map(|n| key(&format!("key-{n}"))).collect();
    let error = server.client().await.rows(RowsQuestion::keys(name("balances"), many)).await.unwrap_err();
    assert!(matches!(error, ProjectionError::TooLarge { limit: 1_000, size: 1_001.., .. }), "{error:?}");
}

#[derive(Debug, PartialEq)]
struct Owned {
    balance: i64,
    owner: Option<String>,
}

impl Row for Owned {
    const COLUMNS: &'static [RowColumn] = &[RowColumn::of::<i64>("balance"), RowColumn::of::<Option<String>>("owner")];

    fn to_cells(&self) -> Result<Vec<Cell>, RowValueError> {
        Ok(vec![self.balance.to_cell()?, self.owner.to_cell()?])
    }

    fn from_cells(cells: Vec<Cell>) -> Result<Self, RowValueError> {
        let [balance, owner] = portolan_kernel::domain::row_cells(cells)?;
        Ok(Self { balance: i64::from_cell(balance)?, owner: Option::from_cell(owner)? })
    }
}

struct Balances;

impl ReadModel for Balances {
    const NAME: &'static str = "balances";
    const VERSION: u16 = 5;
    type Row = Owned;
}

#[tokio::test]
async fn typed_rows_through_the_wire() {
    let server = Running::start().await;
    let ports = server.client().await.ports();
    let balances = ports.projections.get::<Balances>();
    let ann = balances.get("ann-1").at_least(at(7)).await.unwrap();
    assert_eq!(ann, Some(Owned { balance: 5, owner: Some("Ann".into()) }));
    let found = balances.find("owner", "Ann").range(6..).limit(1).await.unwrap();
    assert_eq!(found.rows.iter().map(|keyed| keyed.key.as_str()).collect::<Vec<_>>(), ["ann-3"]);
    let next = balances.find("owner", "Ann").range(6..).after(found.next).await.unwrap();
    assert_eq!((next.rows[0].row.balance, next.next), (i64::MAX, None));
    let all: Vec<_> = balances.list().limit(2).all().try_collect().await.unwrap();
    assert_eq!((all.len(), &all[4].row.owner), (5, &None));
    let asked = server.projections.asked.lock().unwrap();
    assert!(asked.iter().all(|question| question.prefer == Some(5)));
}

/// What has the name of a parameter here is that parameter: such columns are given by their places.
#[tokio::test]
async fn columns_with_names_of_parameters_are_given_by_value() {
    let server = Running::start().await;
    let names = ["limit", "from", "cursor", "version", "direction", "value", "null", "to"];
    let columns = names.map(|name| (name, ColumnType::Integer));
    let of = |first: i64| (first..first + 8).map(Cell::Integer).collect();
    let table = Table::new("1", &columns, &[("all", &names)]).row("a", of(1)).row("b", of(2)).row("c", of(2));
    *server.projections.tables.lock().unwrap() = vec![table];
    assert_eq!(keys(&server.get(&format!("{ROWS}/by/all?value=2&value=3")).await.is_ok()), ["b", "c"]);
    assert_eq!(keys(&server.get(&format!("{ROWS}/by/all?value=2&limit=1")).await.is_ok()), ["b"]);
    assert_eq!(keys(&server.get(&format!("{ROWS}/by/all?limit=2")).await.is_ok()), ["a", "b"]);
    assert_eq!(keys(&server.get(&format!("{ROWS}/by/all?from=2")).await.is_ok()), ["b", "c"]);
    let document = server.get("/openapi.json").await.is_ok();
    let path = &document["paths"]["/projections/{name}/rows/by/{index}"]["get"];
    assert!(path["summary"].as_str().unwrap().contains("by `value` alone"), "{path}");
}
