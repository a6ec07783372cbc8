//! That the document says what it is made of. Whether it says what is served, tests/http/openapi.rs asks the server.

use super::buses::{command, path, question};
use super::{Map, Value, json, problems, routes, sagas};
use crate::server::routes::{self as served, ALL};
use crate::wire::problem::KINDS;
use portolan_kernel::ports::{CommandInfo, QueryInfo};

/// Whether a documented path is one of a route's.
fn is_of(route: &str, documented: &str) -> bool {
    let same = |(of_route, part): (&str, &str)| of_route.starts_with('{') || of_route == part;
    route.split('/').count() == documented.split('/').count() && route.split('/').zip(documented.split('/')).all(same)
}

#[test]
fn every_route_is_documented() {
    let mut documented: Vec<String> = routes::paths(ALL).keys().cloned().collect();
    documented.extend([path("commands", "a/b"), path("queries", "q"), path("sagas", "s")]);
    for route in served::paths() {
        assert!(documented.iter().any(|documented| is_of(route, documented)), "{route} is not among {documented:#?}");
    }
    for documented in &documented {
        assert!(served::paths().any(|route| is_of(route, documented)), "{documented} is no route");
    }
}

/// Where nobody can tell what can be started, one path stands for all.
#[test]
fn starting_is_documented_in_any_case() {
    let (mut paths, mut schemas) = (Map::new(), Map::new());
    sagas::insert_starts(None, &mut paths, &mut schemas);
    let parameters = paths["/sagas/{name}"]["post"]["parameters"].as_array().unwrap();
    assert!(
        parameters.iter().any(|parameter| parameter["in"] == "path" && parameter["name"] == "name"),
        "{parameters:?}"
    );
    let mut told = Map::new();
    sagas::insert_starts(Some(Vec::new()), &mut told, &mut schemas);
    assert!(told.is_empty() && schemas.is_empty());
}

#[test]
fn every_kind_of_problem_is_a_component_with_its_status() {
    let schemas: Map<String, Value> = problems::schemas().collect();
    for kind in KINDS {
        let properties = &schemas[&format!("problem.{}", kind.name)]["properties"];
        assert_eq!(properties["type"]["const"], format!("urn:portolan:problem:{}", kind.name));
        assert_eq!(properties["status"]["enum"], json!(kind.statuses));
    }
}

#[test]
fn references_into_a_schema_still_lead_there() {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "kind": { "$ref": "#/$defs/Kind", "default": { "$ref": "#" } },
            "inner": { "$ref": "#" },
            "far": { "$ref": "https://example.com/x" },
        },
        "required": ["kind"],
        "$defs": { "Kind": { "const": "a" } },
    });
    let mut schemas = Map::new();
    let info = CommandInfo::new("a/b c_d".parse().unwrap()).with_schema(Some(schema.clone()));
    let operation = command(&info, &mut schemas);
    let key = "command.a_2f_b_20_c_5f_d";
    let of_body = &operation["post"]["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(*of_body, json!({ "$ref": format!("#/components/schemas/{key}") }));
    let component = &schemas[key];
    assert_eq!(component["properties"]["kind"]["$ref"], format!("#/components/schemas/{key}/$defs/Kind"));
    assert_eq!(component["properties"]["kind"]["default"], json!({ "$ref": "#" }));
    assert_eq!(component["properties"]["inner"]["$ref"], format!("#/components/schemas/{key}"));
    assert_eq!(component["properties"]["far"]["$ref"], "https://example.com/x");
    assert_eq!(component.get("$schema"), None);

    let info = QueryInfo::new("q".parse().unwrap()).with_schemas(Some(schema), None);
    let parameters = question(&info, &mut schemas)["get"]["parameters"].clone();
    let kind = parameters.as_array().unwrap().iter().find(|parameter| parameter["name"] == "kind").unwrap();
    assert_eq!((&kind["in"], &kind["required"]), (&json!("query"), &json!(true)));
    assert_eq!(kind["schema"]["$ref"], "#/components/schemas/query.q/$defs/Kind");
    let inner = parameters.as_array().unwrap().iter().find(|parameter| parameter["name"] == "inner").unwrap();
    assert_eq!(inner["content"]["application/json"]["schema"]["$ref"], "#/components/schemas/query.q");
}
