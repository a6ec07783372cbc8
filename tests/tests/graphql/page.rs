//! The schema as it is published, and the page for browsers.

use super::support::{house, house_of, house_with};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[tokio::test]
async fn the_schema_that_is_published_is_the_one_that_is_served() {
    let house = house_with(|server| server.with_projection_actions(true)).await;
    let got = house.get("/graphql/schema", "").await;
    assert!(got.head.contains("content-type: application/graphql"));
    let sdl = String::from_utf8(got.body).unwrap();
    for line in [
        "openAccount(",
        "input OpenAccountInput {",
        "  kind: Kind!",
        "  limit: Long!",
        "  owners: [OwnerInput!]!",
        "savings_plus\n",
        "union CommandResult = Receipt | Rejection | Invalid",
        "type Rejection implements CommandFailure {",
        "scalar Long",
        "type BalancesRow {",
        "  balance: Long",
        "balancesByOwner(",
        "balancesByStanding(",
        "balancesList(",
        "actOnProjection(",
        "type AccountAnswer {",
        "  account(",
    ] {
        assert!(sdl.contains(line), "{line} is not in\n{sdl}");
    }
    let types =
        house.data("{ __schema { types { name kind fields { name } inputFields { name } } } }", json!({})).await;
    let mut served = BTreeSet::new();
    for of in types["__schema"]["types"].as_array().unwrap() {
        let name = of["name"].as_str().unwrap();
        if name.starts_with("__") || ["Int", "Float", "String", "Boolean", "ID"].contains(&name) {
            continue;
        }
        served.insert(name.to_owned());
        for field in of["fields"].as_array().or(of["inputFields"].as_array()).into_iter().flatten() {
            let field = field["name"].as_str().unwrap();
            assert!(sdl.contains(&format!("{field}:")) || sdl.contains(&format!("{field}(")), "{name}.{field}");
        }
    }
    let keywords = ["type ", "input ", "enum ", "union ", "interface ", "scalar "];
    let published: BTreeSet<_> = sdl
        .lines()
        .filter_map(|line| keywords.iter().find_map(|keyword| line.strip_prefix(keyword)))
        .map(|rest| rest.split([' ', '=']).next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(published, served);
}

#[tokio::test]
async fn every_type_and_field_that_is_ours_is_described() {
    let house = house().await;
    let query = "{ __schema { types { name description fields { name description args { name description } } } } }";
    let data = house.data(query, json!({})).await;
    let mut silent = Vec::new();
    for of in data["__schema"]["types"].as_array().unwrap() {
        let name = of["name"].as_str().unwrap();
        // What an application registers it describes itself.
        if name.starts_with("__")
            || ["AccountAnswer", "AccountAnswerOwnersItem", "BalancesRow", "Kind"].contains(&name)
            || name.ends_with("Input")
        {
            continue;
        }
        let is_silent = |value: &Value| value["description"].as_str().is_none_or(str::is_empty);
        if is_silent(of) && !["Int", "Float", "String", "Boolean", "ID"].contains(&name) {
            silent.push(name.to_owned());
        }
        for field in of["fields"].as_array().into_iter().flatten() {
            if is_silent(field) {
                silent.push(format!("{name}.{}", field["name"]));
            }
        }
    }
    silent.retain(|name| !name.starts_with("AccountAnswer"));
    assert_eq!(silent, Vec::<String>::new());
}

#[tokio::test]
async fn graphiql_is_served_whole() {
    let house = house().await;
    let got = house.get("/graphql", "accept: text/html,application/xhtml+xml\r\n").await;
    assert_eq!(got.status, 200);
    // A browser takes a WebSocket of the page's own host for its own too (CSP 3, section 6.7.2.8).
    assert!(got.head.contains("; connect-src 'self'; "), "{}", got.head);
    let page = String::from_utf8(got.body).unwrap();
    // Nothing of it comes from elsewhere.
    assert!(!page.contains("http://") && !page.contains("https://"), "{page}");
    // A visitor can show who he is, over a WebSocket too, and it is not kept.
    for part in [
        "isHeadersEditorEnabled: true",
        "shouldPersistHeaders: false",
        "connectionParams: () => shown",
        "![4400, 4401, 4403].includes(code)",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let named = page.split('\'').filter(|part| part.ends_with(".js") || part.ends_with(".css"));
    let named: BTreeSet<_> = named.collect();
    assert_eq!(named.len(), 5, "{named:?}");
    for name in named {
        let got = house.get(&format!("/graphql/graphiql/{name}"), "").await;
        assert_eq!(got.status, 200, "{name}");
        assert!(got.head.contains("content-encoding: gzip") && got.body.starts_with(&[0x1F, 0x8B]), "{name}");
    }
    assert_eq!(house.get("/graphql/graphiql/none.js", "").await.status, 404);

    let house = house_of(|config| config.graphiql = false).await;
    assert_eq!(house.get("/graphql", "accept: text/html\r\n").await.status, 400);
    assert_eq!(house.get("/graphql/graphiql/react.js", "").await.status, 404);
}
