//! The schema: what every one has, and what is registered.

use super::call::{Call, Parameters, SagaInput};
use super::introspection::{Sizes, USUAL};
use super::limits::{complexity, operation};
use super::node::{Info, Node, ROOT};
use super::rows::{COLUMNS, KEY, Table, TableIndex};
use super::types::{self, form, member, optional, part, which_events};
use crate::config::ServerConfig;
use crate::model::{
    Direction, MUTATION, Member, Model, Names, QUERY, SUBSCRIPTION, Scalar, Schemas, Shape, Source, Ty, camel,
    fields_of, pascal, valid,
};
use crate::scalar::Given;
use core::ops::Bound;
use juniper::parser::parse_document_source;
use juniper::{RootNode, Variables};
use portolan_kernel::application::Ports;
use portolan_kernel::ports::{CommandInfo, ProjectionError, ProjectionRegistry, QueryInfo, RowsQuestion, SagaInfo};
use portolan_kernel::values::{By, Collection, Column, ColumnType, Name};
use serde_json::Value;
use std::sync::Arc;

/// A schema of juniper.
pub(crate) type Root = RootNode<Node<'static>, Node<'static>, Node<'static>, Given>;

/// A schema, and what goes with it.
pub(crate) struct Built {
    pub(crate) root: Root,
    pub(crate) model: Arc<Model>,
    pub(crate) sdl: String,
    pub(super) sizes: Sizes,
    /// How much tools ask of the schema.
    pub(super) usual: u64,
    /// Whether some projection's columns are not known yet.
    pub(crate) is_partial: bool,
}

/// What operators may do here.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Actions {
    pub(crate) projections: bool,
    pub(crate) sagas: bool,
}

/// A projection as the schema can have it.
struct Projected {
    name: Name,
    version: u16,
    /// `None` while it has no rows to read.
    collection: Option<Collection>,
}

/// Builds the schema of what is registered now. A registry that cannot be asked has no projections for now, and an
/// orchestrator no sagas.
pub(crate) async fn build(ports: &Ports, config: &ServerConfig, actions: Actions) -> Built {
    let (projections, is_known) = projections(&*ports.projections).await;
    let sagas = ports.sagas.describe().await;
    let is_known = is_known && sagas.is_ok();
    let is_partial = !is_known || projections.iter().any(|projection| projection.collection.is_none());
    let (commands, queries) = (ports.commands.commands(), ports.queries.queries());
    let model = Arc::new(model(commands, queries, projections, sagas.unwrap_or_default(), actions));
    let info = |name: &str| Info::new(&model, Ty::named(name));
    let ServerConfig { max_depth, max_tokens, introspection, .. } = *config;
    let root = Root::new_with_info(ROOT, ROOT, ROOT, info(QUERY), info(MUTATION), info(SUBSCRIPTION))
        .limit_depth(max_depth)
        .limit_tokens(max_tokens);
    let root = if introspection { root } else { root.disable_introspection() };
    let sdl = root.as_sdl();
    let sizes = Sizes::of(&model);
    let document = parse_document_source::<Given>(USUAL, &root.schema).unwrap_or_default();
    let counted = |operation| complexity((&model, &sizes), &document, operation, &Variables::new(), 1).of_schema;
    let usual = operation(&document, None).map(counted).unwrap_or_default();
    Built { root, model, sdl, sizes, usual, is_partial }
}

/// The projections, and whether all are known.
async fn projections(registry: &dyn ProjectionRegistry) -> (Vec<Projected>, bool) {
    let Ok(statuses) = registry.list().await else { return (Vec::new(), false) };
    let mut projections = Vec::new();
    // The system's own have fields of their own, as sagas have.
    for status in statuses.into_iter().filter(|status| !status.name.starts_with('$')) {
        let everything = By::Key(Bound::Unbounded, Bound::Unbounded);
        let question = RowsQuestion::page(status.name.clone(), everything).limit(1).prefer(status.version);
        let collection = match registry.rows(question).await {
            Ok(answer) => Some(answer.collection),
            Err(ProjectionError::UnknownProjection(_)) => continue,
            Err(_) => None,
        };
        projections.push(Projected { name: status.name, version: status.version, collection });
    }
    (projections, true)
}

fn model(
    commands: Vec<CommandInfo>,
    queries: Vec<QueryInfo>,
    projections: Vec<Projected>,
    sagas: Vec<SagaInfo>,
    actions: Actions,
) -> Model {
    let mut model = types::model();
    let mut query = own_queries();
    let mut mutation = own_mutations(actions);
    let mut subscription = own_subscriptions();
    // Roots are added last, and types of the application must not take their names.
    for root in [QUERY, MUTATION, SUBSCRIPTION] {
        model.add(root, "", Shape::Interface(Vec::new()));
    }
    let mut schemas = Schemas::beside(&model);
    let mut names = names_of(&mutation);
    for info in commands {
        mutation.push(command(&mut model, &mut schemas, &mut names, info));
    }
    for info in newest(sagas) {
        mutation.push(saga(&mut model, &mut schemas, &mut names, info));
    }
    let mut names = names_of(&query);
    for info in queries {
        query.push(question(&mut model, &mut schemas, &mut names, info));
    }
    let mut live = names_of(&subscription);
    for projection in projections {
        rows(&mut model, &mut schemas, (&mut names, &mut query), (&mut live, &mut subscription), projection);
    }
    let root = |fields| Shape::Object { fields, interfaces: Vec::new() };
    model.add(QUERY, "What can be read. Nothing here changes anything.", root(query));
    model.add(
        MUTATION,
        "What can be done. Commands in one document are carried out one after another.",
        root(mutation),
    );
    model.add(SUBSCRIPTION, "What can be followed, over `graphql-transport-ws`.", root(subscription));
    model
}

fn names_of(members: &[Member]) -> Names {
    members.iter().map(|member| member.name.as_str()).collect()
}

fn own_queries() -> Vec<Member> {
    let mut own = log_and_projections();
    own.extend(types::sagas::queries());
    own
}

fn log_and_projections() -> Vec<Member> {
    let string = || Scalar::String.ty();
    let mut log = which_events();
    log.extend(part(vec![until(), form()]));
    let mut stream = vec![member("id", string(), "Its name.")];
    stream.extend(part(vec![until(), form()]));
    let named = || member("name", string(), "Its name.");
    vec![
        optional(
            "stream",
            Ty::named("EventConnection"),
            "The events of one stream. A missing one has none. Cursors may be revisions.",
        )
        .taking(stream)
        .calls(Call::Stream),
        optional("events", Ty::named("EventConnection"), "The events of the log. Cursors may be positions.")
            .taking(log)
            .calls(Call::Events),
        optional("store", Ty::named("Store"), "The store of the log.").calls(Call::Store),
        optional("commands", Ty::named("CommandInfo").list(), "The commands that are registered.")
            .calls(Call::Commands),
        optional("queries", Ty::named("QueryInfo").list(), "The questions that are registered.").calls(Call::Queries),
        optional("ask", Ty::named("Answer"), "Any question, for clients that learn its name at run time.")
            .taking([
                member("query", string(), "Its name on every wire."),
                member("parameters", string(), "Its parameters: the text of a JSON object."),
                optional("options", Ty::named("QueryOptions"), "How it is asked."),
            ])
            .calls(Call::Ask),
        optional("projections", Ty::named("Projection").list(), "All projections, by name.").calls(Call::Projections),
        optional("projection", Ty::named("Projection"), "How one projection stands.")
            .taking([named()])
            .calls(Call::Projection),
        optional(
            "rows",
            Scalar::Json.ty(),
            "Rows of any projection, in the form that the port has: for clients that are the port.",
        )
        .taking([member("question", Scalar::Json.ty(), "The question.")])
        .calls(Call::Rows),
        optional(
            "waitFor",
            Scalar::Boolean.ty(),
            "Whether the projection has applied every event up to the position, after waiting for that.",
        )
        .taking([
            member("projection", string(), "Its name."),
            member("position", Scalar::Position.ty(), "The position."),
            optional("wait", Scalar::Float.ty(), "For how many seconds to wait; without it, not at all."),
        ])
        .calls(Call::WaitFor),
    ]
}

fn until() -> Member {
    optional("until", Scalar::Position.ty(), "Only events at or below this position.")
}

fn own_mutations(actions: Actions) -> Vec<Member> {
    let string = || Scalar::String.ty();
    let dispatch =
        member("dispatch", Ty::named("CommandResult"), "Any command, for clients that learn its name at run time.")
            .taking([
                member("command", string(), "Its name on every wire."),
                member("body", string(), "The command: the text of a JSON object."),
                optional("options", Ty::named("CommandOptions"), "How it is sent."),
            ])
            .calls(Call::Dispatch);
    let act = optional(
        "actOnProjection",
        Scalar::Boolean.ty(),
        "What an operator does to a projection. It is done once it is recorded; the status shows it take effect.",
    )
    .taking([
        member("projection", string(), "Its name."),
        member("action", Ty::named("ProjectionAction"), "What to do."),
        optional("version", Scalar::Int.ty(), "The version to activate."),
        optional("edition", string(), "The edition to remove."),
        optional("position", Scalar::Position.ty(), "The event to retry or to drop."),
    ])
    .calls(Call::Act);
    let mut own = vec![dispatch, types::sagas::start()];
    own.extend(actions.projections.then_some(act));
    own.extend(actions.sagas.then(types::sagas::act));
    own
}

fn own_subscriptions() -> Vec<Member> {
    let start = || {
        [
            optional("after", Scalar::Position.ty(), "Resumes after this position; without it, from the first event."),
            optional("fromNow", Scalar::Boolean.ty(), "Leaves out what was."),
            optional("states", Scalar::Boolean.ty(), "Whether to tell of the state too, and not of events alone."),
            form(),
        ]
    };
    let mut log = which_events();
    log.extend(start());
    let mut stream = vec![member("id", Scalar::String.ty(), "Its name.")];
    stream.extend(start());
    vec![
        member("events", Ty::named("Delivery"), "Events as they come, each once, in the order of the log.")
            .taking(log)
            .calls(Call::Events),
        member("stream", Ty::named("Delivery"), "The events of one stream as they come. It may be yet to come.")
            .taking(stream)
            .calls(Call::Stream),
    ]
}

fn command(model: &mut Model, schemas: &mut Schemas, names: &mut Names, info: CommandInfo) -> Member {
    let input = input(model, schemas, (&info.name, info.schema.as_ref()), "The command");
    let takes = input.is_some();
    let options = optional("options", Ty::named("CommandOptions"), "How it is sent.");
    Member::new(names.take(&camel(&info.name)), Ty::named("CommandResult"), described(&info.description, &info.name))
        .taking(input.into_iter().chain([options]))
        .calls(Call::Command { name: info.name, input: takes })
}

/// The argument for what a command, or a saga, of this name and schema takes; `None` for one that takes nothing.
fn input(
    model: &mut Model,
    schemas: &mut Schemas,
    (name, schema): (&Name, Option<&Value>),
    what: &str,
) -> Option<Member> {
    match schema {
        Some(schema) if takes_nothing(schema) => None,
        Some(schema) => {
            let ty = schemas.ty(model, schema, Direction::In, &pascal(name));
            Some(Member::new("input", ty, format!("{what}.")))
        }
        None => Some(Member::new("input", Scalar::Json.ty(), format!("{what}: an object, or the text of one."))),
    }
}

/// Of each name the definition that a start follows; none of processes, which start by events.
fn newest(mut sagas: Vec<SagaInfo>) -> Vec<SagaInfo> {
    sagas.retain(|info| !info.is_process());
    sagas.sort_by(|one, other| (&one.name, other.version).cmp(&(&other.name, one.version)));
    sagas.dedup_by(|one, other| one.name == other.name);
    sagas
}

fn saga(model: &mut Model, schemas: &mut Schemas, names: &mut Names, info: SagaInfo) -> Member {
    let input = input(model, schemas, (&info.name, info.schema.as_ref()), "What it is started with");
    let takes = match &input {
        None => SagaInput::Nothing,
        Some(input) if *input.ty.innermost() == Scalar::Json.name() => SagaInput::Json,
        Some(_) => SagaInput::Typed,
    };
    let field = names.take(&format!("start{}", pascal(&info.name)));
    Member::new(field, Ty::named("SagaStarted").maybe(), described(&info.description, &info.name))
        .taking(types::sagas::start_arguments(input))
        .calls(Call::StartSaga { name: info.name, input: takes })
}

/// Whether it is an object without properties, for which GraphQL has no type.
fn takes_nothing(schema: &Value) -> bool {
    let empty = |of: &str| schema.get(of).and_then(Value::as_object).is_none_or(serde_json::Map::is_empty);
    schema.get("type").and_then(Value::as_str) == Some("object")
        && empty("properties")
        && schema.get("additionalProperties") == Some(&Value::Bool(false))
}

fn question(model: &mut Model, schemas: &mut Schemas, names: &mut Names, info: QueryInfo) -> Member {
    let base = pascal(&info.name);
    let typed = info.schema.as_ref().filter(|schema| !takes_nothing(schema));
    let fields = typed.map(|schema| fields_of(schemas, model, schema, Direction::In, &base));
    let (mut arguments, parameters) = match (fields, &info.schema) {
        (Some(Some(fields)), _) => {
            // So that no parameter hides the options.
            let mut names: Names = ["options"].into_iter().collect();
            let mut pairs = Vec::new();
            let argument = |mut field: Member| {
                field.name = names.take(&field.name);
                if let Source::Member(wire) = &field.source {
                    pairs.push((field.name.to_string(), wire.clone()));
                }
                field
            };
            let arguments: Vec<_> = fields.into_iter().map(argument).collect();
            (arguments, Parameters::Each(pairs))
        }
        (None, Some(_)) => (Vec::new(), Parameters::Each(Vec::new())),
        _ => {
            let text = "The parameters: an object, or the text of one.";
            (vec![optional("parameters", Scalar::Json.ty(), text)], Parameters::Whole)
        }
    };
    arguments.push(optional("options", Ty::named("QueryOptions"), "How it is asked."));
    let answer = match &info.answer_schema {
        Some(schema) => schemas.ty(model, schema, Direction::Out, &format!("{base}Answer")),
        None => Scalar::Json.ty(),
    };
    Member::new(names.take(&camel(&info.name)), answer.maybe(), described(&info.description, &info.name))
        .taking(arguments)
        .calls(Call::Question { name: info.name, parameters })
}

fn described(description: &str, name: &Name) -> String {
    let name = format!("On every wire it is `{name}`.");
    if description.is_empty() { name } else { format!("{description}\n\n{name}") }
}

fn rows(
    model: &mut Model,
    schemas: &mut Schemas,
    (names, query): (&mut Names, &mut Vec<Member>),
    (live, subscription): (&mut Names, &mut Vec<Member>),
    projection: Projected,
) {
    let Projected { name, version, collection } = projection;
    let columns = collection.as_ref().map(|collection| collection.columns.as_slice()).unwrap_or_default();
    let base = pascal(&name);
    let row = schemas.name(&format!("{base}Row"));
    let mut taken: Names = ["key", "columns"].into_iter().collect();
    let mut fields = vec![
        member("key", Scalar::Id.ty(), "Its key.").from(Source::Member(KEY.to_owned())),
        member("columns", Scalar::Json.ty(), "All its columns, as an object.").from(Source::Member(COLUMNS.to_owned())),
    ];
    for column in columns {
        let field = taken.take(&valid(&column.name));
        fields.push(Member::new(field, type_of(column.kind).maybe(), "").from(Source::Member(column.name.to_string())));
    }
    model.add(
        row.clone(),
        format!("A row of the projection `{name}`."),
        Shape::Object { fields, interfaces: Vec::new() },
    );
    let edge = schemas.name(&format!("{base}Edge"));
    let fields = vec![
        member("cursor", Scalar::String.ty(), "Where it stands."),
        member("node", Ty::Named(row.clone()), "The row."),
    ];
    model.add(edge.clone(), format!("A row of `{name}` in a page."), Shape::Object { fields, interfaces: Vec::new() });
    let connection = schemas.name(&format!("{base}Connection"));
    let fields = vec![
        member("edges", Ty::Named(edge).list(), "The rows."),
        member("pageInfo", Ty::named("PageInfo"), "Where the page stands."),
        member("edition", Scalar::String.ty(), "The edition that answered; a walk by cursor stays on it."),
    ];
    let text = format!("A page of rows of `{name}`.");
    model.add(connection.clone(), text, Shape::Object { fields, interfaces: Vec::new() });

    let indexes: Vec<TableIndex> = collection.iter().flat_map(indexes).collect();
    let table = Arc::new(Table { projection: name.clone(), version, indexes });
    let key = || member("key", Scalar::Id.ty(), "Its key.");
    let at_least =
        || optional("atLeast", Scalar::Position.ty(), "The answer waits until every event up to here is in it.");
    let field = names.take(&camel(&name));
    let by_key = |text: String, field| Member::new(field, Ty::Named(row.clone()).maybe(), text);
    let text = format!("The row of `{name}` with this key; `null` if there is none.");
    query.push(by_key(text, field.clone()).taking([key(), at_least()]).calls(Call::Row(table.clone())));
    let bounds = |what: &str, ty: &Ty| {
        [
            Member::new("from", ty.clone().maybe(), format!("Only from this {what} on.")),
            Member::new("to", ty.clone().maybe(), format!("Only up to this {what}.")),
        ]
    };
    let page = Ty::Named(connection).maybe();
    let mut arguments = part(vec![at_least()]);
    arguments.extend(bounds("key", &Scalar::Id.ty()));
    query.push(
        Member::new(names.take(&format!("{field}List")), page.clone(), format!("The rows of `{name}`, by key."))
            .taking(arguments)
            .calls(Call::RowList(table.clone())),
    );
    for (n, index) in table.indexes.iter().enumerate() {
        let argument = |(name, kind): &(juniper::ArcStr, ColumnType)| {
            Member::new(name.clone(), type_of(*kind).maybe(), "The value of this column; `null` is a value too.")
        };
        let mut arguments: Vec<_> = index.columns.iter().map(argument).collect();
        if let Some((_, kind)) = index.columns.last() {
            arguments.extend(bounds("value of the last column", &type_of(*kind)));
        }
        arguments.extend(part(vec![at_least()]));
        let wanted = pascal(&index.name);
        let wanted = wanted.strip_prefix("By").filter(|rest| rest.starts_with(char::is_uppercase)).unwrap_or(&wanted);
        let text = format!("The rows of `{name}` by the index `{}`: by its first columns, or by all.", index.name);
        query.push(
            Member::new(names.take(&format!("{field}By{wanted}")), page.clone(), text)
                .taking(arguments)
                .calls(Call::RowsBy(table.clone(), n)),
        );
    }
    let text = format!("The row of `{name}` with this key: at once, and whenever it has changed.");
    subscription.push(by_key(text, live.take(&camel(&name))).taking([key()]).calls(Call::Row(table)));
}

/// The indexes of a collection, with an argument a column. One over a column that it does not have is left out.
fn indexes(collection: &Collection) -> Vec<TableIndex> {
    let own = ["from", "to", "first", "after", "last", "before", "atLeast"];
    let of = |index: &portolan_kernel::values::Index| {
        let mut names: Names = own.into_iter().collect();
        let column = |name: &Name| {
            let column: &Column = collection.columns.iter().find(|column| column.name == *name)?;
            Some((names.take(&valid(name)), column.kind))
        };
        let columns = index.columns.iter().map(column).collect::<Option<Vec<_>>>()?;
        Some(TableIndex { name: index.name.clone(), columns })
    };
    collection.indexes.iter().filter_map(of).collect()
}

fn type_of(kind: ColumnType) -> Ty {
    match kind {
        ColumnType::Bool => Scalar::Boolean,
        ColumnType::Integer => Scalar::Long,
        ColumnType::Real => Scalar::Float,
        ColumnType::Text => Scalar::String,
        ColumnType::Json => Scalar::Json,
        ColumnType::Bytes => Scalar::Bytes,
    }
    .ty()
}
