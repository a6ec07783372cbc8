//! Code: a saga's functions behind its handler, and what a step sees.

use async_trait::async_trait;
use futures::FutureExt as _;
use portolan_kernel::domain::Command;
use portolan_kernel::domain::saga::{
    Conditions as _, Definition, FailureClass, Misfit, OpenSaga, Outcomes, PlanError, Retry, Saga, SagaHandler, SagaId,
    Step, StepContext, StepError, Way, settled_by_keys,
};
use portolan_kernel::ports::{
    Answer, CommandBus, CommandEnvelope, CommandError, CommandInfo, QueryBus, QueryEnvelope, QueryError, QueryInfo,
    Receipt, Source, Violation,
};
use portolan_kernel::values::{Metadata, Name, StreamId, Timestamp};
use rstest::rstest;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Serialize, Deserialize)]
struct Order {
    item: String,
    amount: u32,
}

#[derive(Serialize, Deserialize)]
struct Reserve {
    item: String,
}

impl Command for Reserve {
    const NAME: &'static str = "reserve";
}

/// With something of its own.
struct Orders {
    greeting: &'static str,
}

impl Saga for Orders {
    const NAME: &'static str = "order";
    const VERSION: u32 = 2;
    const DESCRIPTION: &'static str = "Orders something.";
    type Input = Order;

    fn definition() -> Definition<Self> {
        Definition::new()
            .step(Step::new("reserve", Self::reserve).compensate(Self::release).retry(Retry::attempts(2)))
            .step(
                Step::new("greet", Self::greet)
                    .harmless()
                    .when(|order, outcomes| order.amount > 1 && outcomes.has("reserve")),
            )
            .step(Step::new("charge", Self::charge).outside().resolve(Self::look))
    }

    fn validate(order: &Order) -> Vec<Violation> {
        let none = (order.amount == 0).then(|| Violation::new("amount", "zero", "order at least one"));
        none.into_iter().collect()
    }
}

impl Orders {
    async fn reserve(&self, order: &Order, step: &StepContext) -> Result<u32, StepError> {
        step.send(Reserve { item: order.item.clone() }).await?;
        Ok(step.attempt())
    }

    async fn release(&self, order: &Order, step: &StepContext) -> Result<(), StepError> {
        step.send_as("twice", Reserve { item: order.item.clone() }).await?;
        Ok(())
    }

    async fn greet(&self, _: &Order, step: &StepContext) -> Result<String, StepError> {
        Ok(format!("{} {}", self.greeting, step.outcome::<u32>("reserve")?))
    }

    async fn charge(&self, _: &Order, step: &StepContext) -> Result<String, StepError> {
        Ok(step.key().to_string())
    }

    async fn look(&self, order: &Order, _: &StepContext) -> Result<Option<String>, StepError> {
        match &*order.item {
            "paid" => Ok(Some("found".into())),
            "denied" => Err(StepError::refused("denied", "may not look")),
            _ => Ok(None),
        }
    }
}

/// Answers in turn, and keeps what it was sent.
#[derive(Default)]
struct Bus {
    sent: Mutex<Vec<CommandEnvelope>>,
    error: Mutex<Option<CommandError>>,
}

#[async_trait]
impl CommandBus for Bus {
    async fn dispatch(&self, command: CommandEnvelope) -> Result<Receipt, CommandError> {
        self.sent.lock().unwrap().push(command);
        self.error.lock().unwrap().take().map_or(Ok(Receipt::none()), Err)
    }

    fn commands(&self) -> Vec<CommandInfo> {
        Vec::new()
    }
}

#[async_trait]
impl QueryBus for Bus {
    async fn ask(&self, query: QueryEnvelope) -> Result<Answer, QueryError> {
        Err(QueryError::UnknownQuery(query.name))
    }

    fn queries(&self) -> Vec<QueryInfo> {
        Vec::new()
    }
}

fn handler() -> SagaHandler {
    SagaHandler::new(Orders { greeting: "hello" }).unwrap()
}

fn open(item: &str, amount: u32) -> OpenSaga {
    let handler = handler();
    handler.open(handler.plan(), &json!({"item": item, "amount": amount})).unwrap()
}

fn context(bus: &Arc<Bus>, step: &str) -> StepContext {
    StepContext::new(SagaId::new("order", "7").unwrap(), step, bus.clone(), bus.clone()).unwrap()
}

fn run(saga: &OpenSaga, context: StepContext) -> Result<Value, StepError> {
    saga.run(context).now_or_never().unwrap()
}

#[test]
fn a_handler_tells_of_itself() {
    let handler = handler();
    assert_eq!((handler.name().as_str(), handler.version()), ("order", 2));
    assert_eq!((handler.description(), handler.schema()), ("Orders something.", None));
    assert_eq!(**handler.plan(), Orders::definition().plan().unwrap());
}

#[test]
fn a_step_is_run_with_what_is_its_own() {
    let (bus, saga) = (Arc::new(Bus::default()), open("x", 1));
    assert_eq!(run(&saga, context(&bus, "reserve").attempting(Way::Forward, 3)), Ok(json!(3)));
    assert_eq!(run(&saga, context(&bus, "reserve").attempting(Way::Back, 1)), Ok(Value::Null));
    let outcomes: Outcomes = [("reserve", json!(3))].into_iter().collect();
    assert_eq!(run(&saga, context(&bus, "greet").with_outcomes(outcomes)), Ok(json!("hello 3")));
    let missing = run(&saga, context(&bus, "greet")).unwrap_err();
    assert_eq!(missing.code(), Some("no-outcome"));
    assert_eq!(run(&saga, context(&bus, "charge")), Ok(json!("saga:order:7:charge")));
    assert!(matches!(run(&saga, context(&bus, "nobody")), Err(StepError::Retry { .. })));
}

#[test]
fn what_a_step_sends_has_its_key_and_tells_of_its_saga() {
    let (bus, saga) = (Arc::new(Bus::default()), open("x", 1));
    let metadata = Metadata { correlation: Some("c".into()), tenant: Some("t".into()), ..Metadata::default() };
    let context = |way| {
        let context = context(&bus, "reserve").with_metadata(metadata.clone()).within(Some(Duration::from_secs(1)));
        context.with_start(Timestamp::from_micros(5)).attempting(way, 1)
    };
    assert_eq!(context(Way::Forward).started_at(), Timestamp::from_micros(5));
    for way in [Way::Forward, Way::Settle, Way::Back] {
        run(&saga, context(way)).unwrap();
    }
    let sent = bus.sent.lock().unwrap();
    let ids: Vec<_> = sent.iter().map(|sent| sent.id.clone().unwrap().to_string()).collect();
    assert_eq!(ids, ["saga:order:7:reserve", "saga:order:7:reserve", "saga-undo:order:7:reserve:twice"]);
    for sent in &*sent {
        assert_eq!((&*sent.name, sent.within), ("reserve", Some(Duration::from_secs(1))));
        let own = (&sent.metadata.correlation, &sent.metadata.tenant, &sent.metadata.more["saga"]);
        assert_eq!(own, (&metadata.correlation, &metadata.tenant, &json!("order/7")));
    }
}

#[rstest]
#[case::found("paid", Ok(json!("found")))]
#[case::not_found("x", Err(FailureClass::Refused))]
#[case::a_refused_look_is_no_answer("denied", Err(FailureClass::Unknown))]
fn resolutions(#[case] item: &str, #[case] expected: Result<Value, FailureClass>) {
    let context = context(&Arc::new(Bus::default()), "charge").attempting(Way::Settle, 1);
    assert_eq!(run(&open(item, 1), context).map_err(|error| error.class()), expected);
}

#[test]
fn conditions_are_asked_by_name() {
    let outcomes: Outcomes = [("reserve", json!(1))].into_iter().collect();
    assert_eq!(open("x", 2).holds("greet", &outcomes), Ok(Some(true)));
    assert_eq!(open("x", 1).holds("greet", &outcomes), Ok(Some(false)));
    assert_eq!(open("x", 2).holds("greet", &Outcomes::new()), Ok(Some(false)));
    assert_eq!(open("x", 2).holds("charge", &outcomes), Ok(None));
}

#[rstest]
#[case::fields(r#"{"item":"x"}"#, "amount", "missing-field")]
#[case::unknown(r#"{"item":"x","amount":1,"colour":"red"}"#, "colour", "unknown-field")]
#[case::judged(r#"{"item":"x","amount":0}"#, "amount", "zero")]
#[case::broken("{", "", "malformed")]
fn inputs_from_outside_are_judged(#[case] json: &str, #[case] path: &str, #[case] code: &str) {
    let violations = handler().input(json.as_bytes()).unwrap_err();
    assert_eq!((&*violations[0].path, &*violations[0].code), (path, code));
}

#[test]
fn an_input_has_one_form() {
    let [one, other] = [r#"{"item":"x","amount":1}"#, r#"{ "amount": 1, "item": "x" }"#]
        .map(|json| handler().input(json.as_bytes()).unwrap().to_string());
    assert_eq!(one, other);
}

/// Another version of the same saga.
struct Changed;

impl Saga for Changed {
    const NAME: &'static str = "order";
    type Input = Value;

    fn definition() -> Definition<Self> {
        Definition::new().step(Step::new("reserve", Self::nothing)).step(Step::new("greet", Self::nothing))
    }
}

impl Changed {
    async fn nothing(&self, _: &Value, _: &StepContext) -> Result<(), StepError> {
        Ok(())
    }
}

#[test]
fn code_that_lacks_a_function_says_which() {
    let (changed, orders) = (SagaHandler::new(Changed).unwrap(), handler());
    let misfit = changed.open(orders.plan(), &json!({})).unwrap_err();
    assert_eq!(misfit, Misfit::Function { step: "reserve".into(), what: "compensation" });
    assert!(misfit.to_string().contains("under its version"));
    let plan = |json: Value| Arc::new(serde_json::from_value(json).unwrap());
    let mut json = serde_json::to_value(&**orders.plan()).unwrap();
    json["groups"].as_array_mut().unwrap().remove(0);
    let misfit = changed.open(&plan(json.clone()), &json!({})).unwrap_err();
    assert_eq!(misfit, Misfit::Function { step: "greet".into(), what: "condition" });
    json["groups"].as_array_mut().unwrap().remove(0);
    let misfit = changed.open(&plan(json), &json!({})).unwrap_err();
    assert_eq!(misfit, Misfit::Step { step: "charge".into() });
    assert!(matches!(orders.open(orders.plan(), &json!({"item": 7})), Err(Misfit::Input(_))));
    // A saga of less is one that the code can go on with.
    assert!(orders.open(changed.plan(), &json!({"item": "x", "amount": 1})).is_ok());
}

#[test]
fn versions_begin_with_one() {
    struct Zero;
    impl Saga for Zero {
        const NAME: &'static str = "zero";
        const VERSION: u32 = 0;
        type Input = Value;
        fn definition() -> Definition<Self> {
            Definition::new()
        }
    }
    assert!(matches!(SagaHandler::new(Zero), Err(PlanError::Version { .. })));
}

fn name() -> Name {
    Name::new("x").unwrap()
}

#[rstest]
#[case(CommandError::Rejected { code: "short".into(), message: "m".into(), fields: json!({"by": 2}) }, FailureClass::Refused, "short")]
#[case(CommandError::Invalid(vec![]), FailureClass::Refused, "invalid")]
#[case(CommandError::Malformed("m".into()), FailureClass::Refused, "malformed")]
#[case(CommandError::Denied("m".into()), FailureClass::Refused, "denied")]
#[case(CommandError::UnknownCommand(name()), FailureClass::Refused, "unknown-command")]
#[case(CommandError::Conflict { stream: StreamId::new("s").unwrap(), actual: None }, FailureClass::Retry, "")]
#[case(CommandError::Busy(Source::new("m")), FailureClass::Retry, "")]
#[case(CommandError::DeadlinePassed, FailureClass::Retry, "")]
#[case(CommandError::Other(Source::new("m")), FailureClass::Retry, "")]
#[case(CommandError::Unknown(Source::new("m")), FailureClass::Unknown, "")]
#[case(CommandError::KeyReused, FailureClass::Unknown, "")]
fn errors_of_commands(#[case] error: CommandError, #[case] class: FailureClass, #[case] code: &str) {
    let bus = Arc::new(Bus::default());
    *bus.error.lock().unwrap() = Some(error);
    let error = run(&open("x", 1), context(&bus, "reserve")).unwrap_err();
    assert_eq!((error.class(), error.code().unwrap_or_default()), (class, code));
    assert!(!error.to_string().is_empty());
}

/// Whoever shuts down has given no answer.
#[test]
fn a_bus_that_shuts_down_interrupts() {
    let bus = Arc::new(Bus::default());
    *bus.error.lock().unwrap() = Some(CommandError::ShuttingDown);
    let error = run(&open("x", 1), context(&bus, "reserve")).unwrap_err();
    assert_eq!(error, StepError::interrupted("the application is shutting down"));
    assert_eq!(error.class(), FailureClass::Unknown);
}

#[test]
fn a_command_that_took_effect_went_well() {
    let bus = Arc::new(Bus::default());
    *bus.error.lock().unwrap() =
        Some(CommandError::NotCaughtUp { receipt: Box::new(Receipt::none()), waiting: vec![name()] });
    assert_eq!(run(&open("x", 1), context(&bus, "reserve")), Ok(json!(1)));
}

#[rstest]
#[case(QueryError::Busy(Source::new("m")), FailureClass::Retry)]
#[case(QueryError::Other(Source::new("m")), FailureClass::Retry)]
#[case(QueryError::NotFound("m".into()), FailureClass::Refused)]
#[case(QueryError::Denied("m".into()), FailureClass::Refused)]
#[case(QueryError::UnknownQuery(name()), FailureClass::Refused)]
#[case(QueryError::Invalid(vec![]), FailureClass::Refused)]
#[case(QueryError::Malformed("m".into()), FailureClass::Refused)]
fn errors_of_queries(#[case] error: QueryError, #[case] class: FailureClass) {
    assert_eq!(StepError::from(error).class(), class);
}

#[test]
fn what_is_wrong_with_a_question_is_told() {
    let wrong = Violation::new("account", "too-long", "512 bytes at most");
    let error = StepError::from(QueryError::Invalid(vec![wrong])).to_string();
    assert_eq!(error, "a query failed: the query is invalid: account: 512 bytes at most (invalid)");
}

#[rstest]
#[case::happened(Ok(json!(1)), 0, 1, Ok(json!(1)))]
#[case::nothing_to_send(Ok(json!(1)), 0, 0, Ok(json!(1)))]
#[case::closed(Err(StepError::refused("x", "closed")), 1, 0, Err(FailureClass::Refused))]
#[case::closed_and_passed_over(Ok(json!(1)), 1, 0, Err(FailureClass::Refused))]
#[case::by_half(Err(StepError::refused("x", "closed")), 1, 1, Err(FailureClass::Unknown))]
#[case::by_half_and_passed_over(Ok(json!(1)), 1, 1, Err(FailureClass::Unknown))]
#[case::refused_before_it_came_to_a_command(Err(StepError::refused("x", "m")), 0, 0, Err(FailureClass::Unknown))]
#[case::found_and_then_failed(Err(StepError::refused("x", "m")), 0, 1, Err(FailureClass::Unknown))]
fn settling_by_keys(
    #[case] result: Result<Value, StepError>,
    #[case] closed: u32,
    #[case] found: u32,
    #[case] expected: Result<Value, FailureClass>,
) {
    assert_eq!(settled_by_keys(result, closed, found).map_err(|error| error.class()), expected);
}

#[test]
fn a_definition_tells_its_conditions_without_a_handler() {
    let definition = Orders::definition();
    let order = |amount| Order { item: "tea".into(), amount };
    let reserved: Outcomes = [("reserve", json!(1))].into_iter().collect();
    assert_eq!(definition.holds("greet", &order(2), &reserved), Some(true));
    assert_eq!(definition.holds("greet", &order(1), &reserved), Some(false));
    assert_eq!(definition.holds("greet", &order(2), &Outcomes::new()), Some(false));
    assert_eq!(definition.holds("reserve", &order(2), &reserved), None);
    assert_eq!(definition.holds("pray", &order(2), &reserved), None);
}
