//! What is refused, what passes, and what is said of it; over the suite's reference store and a registry of the test's.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use portolan_kernel::ports::{AppendError, EventStore as _, PayloadViolation, SchemaError, Source};
use portolan_kernel::values::{Append, Format, NewEvent};
use portolan_schema::Validation;
use rstest::rstest;
use serde_json::{Value, json};
use support::{Registry, World, event, judged, places};

/// A payload by a schema.
async fn by(schema: Value, payload: impl Into<portolan_kernel::Bytes>) -> Result<(), AppendError> {
    let world = World::new(Validation::all(), [("a", 1, Some(schema))]);
    judged(&world, Append::new([event("x-1", "a", payload)])).await
}

#[tokio::test]
async fn every_place_of_every_event_is_listed() {
    let schema = json!({
        "type": "object",
        "properties": { "owner": { "type": "string", "maxLength": 3 }, "a/b~": { "items": { "minimum": 0 } } },
        "required": ["owner", "a/b~"],
    });
    let world = World::new(Validation::all(), [("a", 1, Some(schema))]);
    let events = [
        event("x-1", "a", r#"{"owner":7,"a/b~":[0,-1,2,-3]}"#),
        event("x-2", "a", r#"{"owner":"Ann","a/b~":[]}"#),
        event("x-1", "a", "[]"),
        event("x-1", "a", "{}"),
    ];
    let refused = judged(&world, Append::new(events)).await;
    let mut listed = places(&refused);
    assert!(listed.is_sorted_by_key(|(event, _)| *event), "{listed:?}");
    // Within an event the order is the schema's, which is that of a map.
    listed.sort_unstable();
    assert_eq!(listed, [(0, "/a~1b~0/1"), (0, "/a~1b~0/3"), (0, "/owner"), (2, ""), (3, ""), (3, "")], "{refused:?}");
    assert_eq!(world.count().await, 0);
}

#[rstest]
#[case::empty("", "EOF")]
#[case::white_space(" \n", "EOF")]
#[case::not_utf_8(&b"{\"owner\":\"\xff\"}"[..], "unicode")]
#[case::a_byte_order_mark("\u{feff}{}", "expected value")]
#[case::two_texts("{} {}", "trailing")]
#[case::half_a_surrogate(r#"{"owner":"\ud800"}"#, "")]
#[case::a_member_twice(r#"{"owner":"a","owner":"b"}"#, "`owner` stands twice")]
#[case::a_member_twice_deep_down(r#"[1,{"b":[{"a":1,"\u0061":1}]}]"#, "`a` stands twice")]
#[case::a_number_past_all(r#"{"n":1e400}"#, "number out of range")]
#[case::no_json("{owner:1}", "key must be a string")]
#[tokio::test]
async fn what_is_no_json_text_is_refused(#[case] payload: impl Into<portolan_kernel::Bytes>, #[case] says: &str) {
    let refused = by(json!(true), payload).await;
    let Err(AppendError::Nonconforming(wrong)) = &refused else { panic!("{refused:?}") };
    assert_eq!(places(&refused), [(0, "")]);
    assert!(wrong[0].message.starts_with("it cannot be read as JSON") && wrong[0].message.contains(says), "{wrong:?}");
}

#[rstest]
#[case::names_of_siblings(r#"{"a":{"a":1},"b":{"a":1}}"#)]
#[case::white_space_around(" {\"a\" : 1 }\n")]
#[case::any_value("null")]
#[case::numbers("[18446744073709551615,-9223372036854775808,1e308,5e-324,-0,123456789012345678901234567890]")]
#[tokio::test]
async fn json_texts_pass(#[case] payload: &'static str) {
    by(json!(true), payload).await.unwrap();
}

/// As deep as it can be read, by a schema that follows; and far deeper. On a thread as small as tokio's.
#[test]
fn depth_is_bounded() {
    let within = || async {
        let tree =
            json!({ "$ref": "#/$defs/t", "$defs": { "t": { "items": { "$ref": "#/$defs/t" }, "type": "array" } } });
        let nested = |levels: usize, inner: &str| format!("{}{inner}{}", "[".repeat(levels), "]".repeat(levels));
        by(tree.clone(), nested(127, "")).await.unwrap();
        let refused = by(tree.clone(), nested(126, "1")).await;
        assert_eq!(places(&refused), [(0, &*"/0".repeat(126))]);
        for levels in [128, 100_000] {
            let refused = by(tree.clone(), nested(levels, "")).await;
            assert!(format!("{refused:?}").contains("recursion limit"), "{refused:?}");
        }
    };
    let run = move || tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(within());
    std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap();
}

#[rstest]
#[case::as_large_as_it_may_be(u64::MAX.to_string(), true)]
#[case::one_more("18446744073709551616".into(), false)]
#[case::far_more("1e300".into(), false)]
#[case::a_digit_of_many("9".repeat(300), false)]
#[case::with_a_fraction("7.0".into(), false)]
#[case::with_an_exponent("7e0".into(), false)]
#[case::a_nought_below_none("-0".into(), false)]
#[case::not_whole("7.5".into(), false)]
#[case::negative("-1".into(), false)]
#[tokio::test]
async fn numbers_are_judged_as_what_they_are(#[case] number: String, #[case] passes: bool) {
    let judged = by(json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX }), number).await;
    assert_eq!(judged.is_ok(), passes, "{judged:?}");
}

/// An integer of a width is what a reader of that width can take, and nothing else is judged by it.
#[rstest]
#[case("uint8", "255", "256")]
#[case("uint16", "65535", "65536")]
#[case("uint32", "4294967295", "4294967296")]
#[case("uint64", "18446744073709551615", "18446744073709551616")]
#[case("uint", "0", "-1")]
#[case("int8", "-128", "-129")]
#[case("int16", "32767", "32768")]
#[case("int32", "-2147483648", "2147483648")]
#[case("int64", "-9223372036854775808", "-9223372036854775809")]
#[case("int64", "9223372036854775807", "9223372036854775808")]
#[case("int", "1", "1.0")]
#[case("int128", "170141183460469231731687303715884105727", "1.0")]
#[tokio::test]
async fn integers_are_of_their_width(#[case] format: &str, #[case] fits: &str, #[case] does_not: &str) {
    let schema = json!({ "properties": { "n": { "type": ["integer", "null"], "format": format } } });
    let n = |number: &str| format!(r#"{{"n":{number}}}"#);
    by(schema.clone(), n(fits)).await.unwrap();
    by(schema.clone(), n("null")).await.unwrap();
    assert_eq!(places(&by(schema.clone(), n(does_not)).await), [(0, "/n")]);
    assert_eq!(places(&by(schema, n("\"1\"")).await), [(0, "/n")]);
}

#[tokio::test]
async fn each_type_is_its_own() {
    let of = [
        ("null", "null"),
        ("boolean", "true"),
        ("object", "{}"),
        ("array", "[]"),
        ("string", "\"\""),
        ("integer", "1"),
        ("number", "1.5"),
    ];
    for (name, _) in of {
        for (other, value) in of {
            let passes = name == other || (name, other) == ("number", "integer");
            let judged = by(json!({ "type": name }), value).await;
            assert_eq!(judged.is_ok(), passes, "{name} {value}");
            if name == "null" {
                continue;
            }
            let in_list = by(json!({ "type": [name, "null"] }), value).await;
            assert_eq!(in_list.is_ok(), passes || other == "null", "{name} {value}");
        }
    }
}

/// Who reads the stream would not know what to do with it.
#[tokio::test]
async fn an_event_of_another_category_is_refused() {
    let world = World::over(Validation::all().pass_without_schema(), Registry::default());
    world.registry.tell_of_category("order.placed", "order", 1, json!(true));
    let placed = |stream: &str| Append::new([event(stream, "order.placed", "{}")]);
    for _ in 0..2 {
        let refused = judged(&world, placed("account-1")).await;
        assert_eq!(places(&refused), [(0, "")]);
        assert!(refused.unwrap_err().to_string().contains("of category order"));
        judged(&world, placed("order-1")).await.unwrap();
    }
}

/// A name that nothing is of would judge nothing, and nobody would know.
#[tokio::test]
async fn a_category_that_no_event_is_of_is_told_of() {
    let prepared = async |category: &str| {
        let registry = Registry::default();
        registry.tell_of_category("account.opened", "account", 1, json!(true));
        registry.tell_of_command("a", 1, json!(true));
        World::over(Validation::of([category.parse().unwrap()]), registry).store.prepare().await
    };
    prepared("account").await.unwrap();
    let Err(SchemaError::Other(source)) = prepared("acount").await else { panic!("it is prepared") };
    assert!(source.to_string().contains("acount"), "{source}");
}

/// A message never has what may be nobody's business, and says little of what is long.
#[tokio::test]
async fn values_stay_out_of_messages() {
    let schema = json!({ "properties": { "pin": { "type": "integer", "enum": [1, 2] } }, "additionalProperties": { "const": 1 } });
    let long = "k".repeat(5_000);
    let refused = by(schema, format!(r#"{{"pin":"secret-1234","{long}":"secret-5678"}}"#)).await;
    let Err(AppendError::Nonconforming(wrong)) = &refused else { panic!("{refused:?}") };
    assert_eq!(wrong.len(), 3);
    for PayloadViolation { pointer, message, .. } in wrong {
        assert!(
            !message.contains("secret") && message.starts_with("it is not") || message.contains("expected"),
            "{message}"
        );
        assert!(pointer.len() <= 310 && message.len() <= 310);
    }
    let refused = by(json!({ "additionalProperties": false }), format!(r#"{{"{long}":1}}"#)).await;
    assert!(format!("{refused:?}").len() < 500);
}

#[tokio::test]
async fn long_lists_end() {
    let numbers = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
    let strings = || json!({ "items": { "type": "string" } });
    let listed = places(&by(strings(), numbers(100)).await).len();
    assert_eq!(listed, 100);
    let refused = by(strings(), numbers(30_000)).await;
    assert_eq!(places(&refused).len(), 101);
    assert!(format!("{refused:?}").contains("more is wrong from here on"), "{refused:?}");
    // Of a large one only that it is wrong.
    assert_eq!(places(&by(strings(), numbers(33_000)).await), [(0, "")]);
    let world = World::new(Validation::all(), [("a", 1, Some(strings()))]);
    let events = (0..40).map(|_| event("x-1", "a", numbers(3)));
    let refused = judged(&world, Append::new(events)).await;
    assert_eq!(places(&refused).last(), Some(&(33, "")));
}

#[rstest]
#[case::refused(Validation::all(), false)]
#[case::passes(Validation::all().pass_without_schema(), true)]
#[case::is_no_other_format(Validation::all().pass_other_formats(), false)]
#[tokio::test]
async fn what_has_no_schema(#[case] validation: Validation, #[case] passes: bool) {
    let world = World::new(validation, [("a", 2, None), ("a", 3, Some(json!(true)))]);
    for (event_type, version) in [("b", 1), ("a", 1), ("a", 2), ("a", 0), ("a", u32::MAX)] {
        let append = Append::new([event("x-1", event_type, "no JSON").with_version(version)]);
        let judged = judged(&world, append).await;
        assert_eq!(judged.is_ok(), passes, "{event_type} {version}: {judged:?}");
        if !passes {
            assert_eq!(places(&judged), [(0, "")]);
        }
    }
    judged(&world, Append::new([event("x-1", "a", "{}").with_version(3)])).await.unwrap();
    // With a schema, it is never passed unread.
    judged(&world, Append::new([event("x-1", "a", "no JSON").with_version(3)])).await.unwrap_err();
}

#[rstest]
#[case(Validation::all(), false)]
#[case(Validation::all().pass_other_formats(), true)]
#[tokio::test]
async fn other_formats(#[case] validation: Validation, #[case] passes: bool) {
    let world = World::new(validation, [("a", 1, Some(json!({ "type": "object" })))]);
    let append = Append::new([event("x-1", "a", "{}").with_format(Format::Binary)]);
    assert_eq!(judged(&world, append).await.is_ok(), passes);
    judged(&world, Append::new([event("x-1", "a", "[]")])).await.unwrap_err();
}

#[tokio::test]
async fn only_chosen_categories_are_judged() {
    let world = World::new(Validation::of(["x".parse().unwrap(), "y".parse().unwrap()]), []);
    for (stream, passes) in
        [("x-1", false), ("x", false), ("y-a-b", false), ("xx-1", true), ("z", true), ("$x", true), ("$x-1", true)]
    {
        assert_eq!(judged(&world, Append::new([event(stream, "a", "{}")])).await.is_ok(), passes, "{stream}");
    }
    // One event of an append is enough.
    let mixed = Append::new([event("z", "a", "{}"), event("x-1", "a", "{}")]);
    assert_eq!(places(&judged(&world, mixed).await), [(1, "")]);
    let world = World::new(Validation::all(), []);
    judged(&world, Append::new([event("$checkpoints-x", "a", "no JSON")])).await.unwrap();
}

/// Whoever may append raw may not register a schema that allows it, nor say what was migrated.
#[tokio::test]
async fn the_systems_own_records_are_not_written_raw() {
    let of = [Validation::all().pass_without_schema().pass_other_formats(), Validation::of(["x".parse().unwrap()])];
    for validation in of {
        let world = World::new(validation, [("a", 1, Some(json!(true)))]);
        for stream in ["$schemas", "$schemas-x", "$migration"] {
            let append = Append::new([event("x-1", "a", "{}"), event(stream, "schema.registered", "{}")]);
            let Err(AppendError::Denied(reason)) = judged(&world, append).await else { panic!("{stream}") };
            assert!(reason.contains(stream), "{reason}");
        }
        judged(&world, Append::new([event("$schemas2", "a", "{}"), event("x-1", "a", "{}")])).await.unwrap();
    }
}

#[rstest]
#[case::no_schema(json!({ "type": "strin" }), "strin")]
#[case::no_schema_at_all(json!(7), "7")]
#[case::look_around(json!({ "properties": { "a": { "pattern": "^(?=(a+)+$)b" } } }), "/properties/a/pattern")]
#[case::back_reference(json!({ "pattern": r"(a+)\1" }), "back-references")]
#[case::an_expression_too_large(json!({ "pattern": "((a{1000}){1000}){1000}" }), "regex")]
#[case::a_reference_to_nowhere(json!({ "$ref": "#/$defs/none" }), "none")]
#[case::another_dialect(json!({ "$schema": "http://127.0.0.1:9/dialect", "type": "object" }), "dialect")]
#[tokio::test]
async fn a_schema_of_no_use_is_not_the_callers_mistake(#[case] schema: Value, #[case] says: &str) {
    let world = World::new(Validation::all(), [("a", 7, Some(schema)), ("b", 1, Some(json!(true)))]);
    let refused = judged(&world, Append::new([event("x-1", "a", "{}").with_version(7)])).await;
    let Err(AppendError::Other(source)) = refused else { panic!("{refused:?}") };
    assert!(source.to_string().contains(says) && source.to_string().contains("version 7 of event a"), "{source}");
    let prepared = world.store.prepare().await;
    let Err(SchemaError::Other(source)) = prepared else { panic!("{prepared:?}") };
    assert!(source.to_string().contains("version 7 of event a"), "{source}");
    judged(&world, Append::new([event("x-1", "b", "{}")])).await.unwrap();
}

#[tokio::test]
async fn nothing_is_fetched_for_a_schema() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/x.json", listener.local_addr().unwrap());
    for far in [json!({ "$ref": url }), json!({ "$id": url, "$ref": "y.json" }), json!({ "$ref": "file:///etc/hosts" })]
    {
        let refused = by(far, "{}").await;
        assert!(matches!(refused, Err(AppendError::Other(_))), "{refused:?}");
    }
    assert!(listener.accept().is_err());
}

#[rstest]
#[case::itself(json!({ "$ref": "#" }))]
#[case::in_turns(json!({ "$ref": "#/$defs/a", "$defs": { "a": { "$ref": "#/$defs/b" }, "b": { "$ref": "#/$defs/a" } } }))]
#[case::by_all(json!({ "allOf": [{ "$ref": "#" }, { "anyOf": [{ "$ref": "#" }] }] }))]
#[case::by_its_denial(json!({ "not": { "not": { "$ref": "#" } } }))]
#[tokio::test]
async fn a_schema_that_leads_in_a_circle_ends(#[case] schema: Value) {
    let _ = by(schema, r#"{"a":{"a":[{}]}}"#).await;
}

/// What takes a backtracking engine forever.
#[tokio::test]
async fn expressions_are_matched_in_linear_time() {
    let schema = json!({ "pattern": "^(([a-z])+.)+[A-Z]([a-z])+$" });
    by(schema, format!("\"{}\"", "a".repeat(200_000))).await.unwrap_err();
}

#[tokio::test]
async fn format_is_an_annotation_in_every_dialect() {
    for dialect in ["https://json-schema.org/draft/2020-12/schema", "http://json-schema.org/draft-07/schema#"] {
        by(json!({ "$schema": dialect, "format": "date-time" }), "\"no date\"").await.unwrap();
    }
}

#[tokio::test]
async fn a_schema_is_asked_for_once_and_what_is_unknown_again() {
    let world = World::new(Validation::all(), [("a", 1, Some(json!(true)))]);
    let append = |event_type: &str| Append::new([event("x-1", event_type, "{}"), event("x-1", event_type, "{}")]);
    for _ in 0..3 {
        judged(&world, append("a")).await.unwrap();
    }
    assert_eq!(world.registry.asked(), 1);
    judged(&world, append("b")).await.unwrap_err();
    world.registry.tell("b", 1, None);
    judged(&world, append("b")).await.unwrap_err();
    world.registry.tell("b", 1, Some(json!(true)));
    judged(&world, append("b")).await.unwrap();
}

#[tokio::test]
async fn what_the_registry_fails_with_is_what_the_append_fails_with() {
    let failing = |error: SchemaError| {
        let world = World::new(Validation::all().pass_without_schema(), []);
        world.registry.fail(error);
        world
    };
    let append = || Append::new([event("x-1", "a", "{}")]);
    for (error, expected) in [
        (SchemaError::Busy(Source::new("full")), "Busy(\"full\")"),
        (SchemaError::Denied("ann may not".into()), "Denied(\"ann may not\")"),
        (SchemaError::Other(Source::new("odd")), "Other(Other(\"odd\"))"),
    ] {
        let world = failing(error);
        assert_eq!(format!("{:?}", judged(&world, append()).await.unwrap_err()), expected);
        assert_eq!(world.count().await, 0);
        world.store.prepare().await.unwrap_err();
    }
}

/// Schemas of others' categories, and of commands, need not be of any use.
#[tokio::test]
async fn only_what_is_judged_is_prepared() {
    let registry = || {
        let registry = Registry::new([("a", 1, Some(json!(true)))]);
        registry.tell_of_command("c", 1, json!({ "type": "strin" }));
        registry.tell_of_category("b", "others", 1, json!({ "type": "strin" }));
        registry.tell_of_category("d", "x", 1, json!(true));
        registry
    };
    World::over(Validation::of(["x".parse().unwrap()]), registry()).store.prepare().await.unwrap();
    World::over(Validation::all(), registry()).store.prepare().await.unwrap_err();
}

#[tokio::test]
async fn everything_else_is_the_stores_own() {
    let world = World::new(Validation::all(), []);
    let stored = NewEvent::new("x-1".parse().unwrap(), "t".parse().unwrap(), "no JSON");
    world.inner.append(Append::new([stored])).await.unwrap();
    assert_eq!(world.store.capabilities(), world.inner.capabilities());
    let read = || portolan_kernel::values::Read::log(portolan_kernel::values::Query::all());
    assert_eq!(world.store.read(read()).await.unwrap(), world.inner.read(read()).await.unwrap());
    world.store.changed(portolan_kernel::values::Query::all(), None).await.unwrap();
    let checkpoint = || "c".parse().unwrap();
    assert_eq!(
        world.store.checkpoint(checkpoint()).await.unwrap(),
        world.inner.checkpoint(checkpoint()).await.unwrap()
    );
    assert!(judged(&world, Append::default()).await.is_ok());
}
