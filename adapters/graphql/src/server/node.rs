//! The model as juniper's types: every type of the schema is a [`Node`], told apart by its [`Info`].

use super::call;
use super::context::Context;
use super::live;
use crate::model::{MUTATION, Member, Model, Scalar, Shape, Source, Ty, member};
use crate::scalar::{Any, Given, Json, Long, Place, Text, whole};
use crate::wire::problem::Problem;
use crate::wire::text::Base64;
use futures::future::{BoxFuture, join_all};
use futures::stream::StreamExt as _;
use juniper::meta::{Argument, EnumMeta, EnumValue, Field, InputObjectMeta, MetaType, ScalarMeta};
use juniper::{
    ArcStr, Arguments, ExecutionResult, Executor, FieldError, GraphQLSubscriptionValue, GraphQLType, GraphQLValue,
    GraphQLValueAsync, ID, InputValue, Registry, Selection, Value, ValuesStream,
};
use serde_json::Value as Data;
use std::sync::Arc;

/// Which type of which schema a [`Node`] is.
#[derive(Debug, Clone)]
pub(crate) struct Info {
    pub(crate) model: Arc<Model>,
    pub(crate) ty: Ty,
}

impl Info {
    pub(crate) fn new(model: &Arc<Model>, ty: Ty) -> Self {
        Self { model: model.clone(), ty }
    }

    fn with(&self, ty: Ty) -> Self {
        Self { model: self.model.clone(), ty }
    }
}

/// A value of any type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node<'d>(pub(crate) &'d Data);

/// The value of the roots, whose fields all come from elsewhere.
pub(crate) const ROOT: Node<'static> = Node(&Data::Null);

impl GraphQLType<Given> for Node<'_> {
    fn name(info: &Info) -> Option<ArcStr> {
        match &info.ty {
            Ty::Named(name) => Some(name.clone()),
            Ty::List(_) | Ty::Maybe(_) => None,
        }
    }

    fn meta(info: &Info, registry: &mut Registry<Given>) -> MetaType<Given> {
        let name = match &info.ty {
            Ty::List(inner) => {
                return registry.build_list_type::<Node<'_>>(&info.with((**inner).clone()), None).into_meta();
            }
            Ty::Maybe(inner) => {
                return registry.build_nullable_type::<Node<'_>>(&info.with((**inner).clone())).into_meta();
            }
            Ty::Named(name) => name,
        };
        let of = info.model.get(name).expect("the model has every type that it names");
        match &of.shape {
            Shape::Scalar(scalar) => of_scalar(*scalar, &of.description, registry),
            Shape::Enum(choices) => {
                let value = |choice: &crate::model::Choice| {
                    let value = EnumValue::new(choice.name.clone());
                    if choice.description.is_empty() { value } else { value.description(choice.description.as_str()) }
                };
                let values: Vec<_> = choices.iter().map(value).collect();
                let meta = EnumMeta::new::<Any>(name.clone(), &values);
                if of.description.is_empty() { meta } else { meta.description(of.description.as_str()) }.into_meta()
            }
            Shape::Input(fields) => {
                let fields: Vec<_> = fields.iter().map(|field| argument(info, field, registry)).collect();
                let meta = InputObjectMeta::new::<Any>(name.clone(), &fields);
                if of.description.is_empty() { meta } else { meta.description(of.description.as_str()) }.into_meta()
            }
            Shape::Object { fields, interfaces } => {
                let fields: Vec<_> = fields.iter().map(|member| field(info, member, registry)).collect();
                let meta = registry.build_object_type::<Node<'_>>(info, &fields);
                let interfaces: Vec<_> = interfaces.iter().map(|name| named(info, name, registry)).collect();
                let meta = meta.interfaces(&interfaces);
                if of.description.is_empty() { meta } else { meta.description(of.description.as_str()) }.into_meta()
            }
            Shape::Interface(fields) => {
                let fields: Vec<_> = fields.iter().map(|member| field(info, member, registry)).collect();
                let meta = registry.build_interface_type::<Node<'_>>(info, &fields);
                meta.description(of.description.as_str()).into_meta()
            }
            Shape::Union(members) => {
                let members: Vec<_> = members.iter().map(|name| named(info, name, registry)).collect();
                let meta = registry.build_union_type::<Node<'_>>(info, &members);
                meta.description(of.description.as_str()).into_meta()
            }
        }
    }
}

fn named(info: &Info, name: &ArcStr, registry: &mut Registry<Given>) -> juniper::Type {
    registry.get_type::<Node<'_>>(&info.with(Ty::Named(name.clone())))
}

fn field(info: &Info, member: &Member, registry: &mut Registry<Given>) -> Field<Given> {
    let field = registry.field::<Node<'_>>(member.name.clone(), &info.with(member.ty.clone()));
    let field = if member.description.is_empty() { field } else { field.description(member.description.as_str()) };
    member.arguments.iter().fold(field, |field, member| field.argument(argument(info, member, registry)))
}

fn argument(info: &Info, member: &Member, registry: &mut Registry<Given>) -> Argument<Given> {
    let ty = registry.get_type::<Node<'_>>(&info.with(member.ty.clone()));
    let argument = Argument::new(member.name.clone(), ty);
    let argument = match member.default {
        Some(choice) => argument.default_value(InputValue::enum_value(choice)),
        None => argument,
    };
    if member.description.is_empty() { argument } else { argument.description(member.description.as_str()) }
}

fn of_scalar(scalar: Scalar, description: &str, registry: &mut Registry<Given>) -> MetaType<Given> {
    let own = |meta: ScalarMeta<Given>| meta.description(description).into_meta();
    match scalar {
        Scalar::Int => <i32 as GraphQLType<Given>>::meta(&(), registry),
        Scalar::Float => <f64 as GraphQLType<Given>>::meta(&(), registry),
        Scalar::String => <String as GraphQLType<Given>>::meta(&(), registry),
        Scalar::Boolean => <bool as GraphQLType<Given>>::meta(&(), registry),
        Scalar::Id => <ID as GraphQLType<Given>>::meta(&(), registry),
        Scalar::Long => own(ScalarMeta::new::<Long>(scalar.name())),
        Scalar::Position => own(ScalarMeta::new::<Place>(scalar.name())),
        Scalar::Json => own(ScalarMeta::new::<Json>(scalar.name())),
        Scalar::Bytes | Scalar::DateTime => own(ScalarMeta::new::<Text>(scalar.name())),
    }
}

impl GraphQLValue<Given> for Node<'_> {
    type Context = Context;
    type TypeInfo = Info;

    fn type_name(&self, info: &Info) -> Option<ArcStr> {
        <Self as GraphQLType<Given>>::name(info)
    }

    fn concrete_type_name(&self, _: &Context, info: &Info) -> String {
        let abstracted = |shape: &Shape| matches!(shape, Shape::Interface(_) | Shape::Union(_));
        let is_abstract = info.model.get(info.ty.innermost()).is_some_and(|of| abstracted(&of.shape));
        let told = if is_abstract { self.0.get("__typename").and_then(Data::as_str) } else { None };
        told.unwrap_or(info.ty.innermost()).to_owned()
    }
}

impl GraphQLValueAsync<Given> for Node<'_> {
    fn resolve_field_async<'a>(
        &'a self,
        info: &'a Info,
        name: &'a str,
        arguments: &'a Arguments<'_, Given>,
        executor: &'a Executor<'_, '_, Context, Given>,
    ) -> BoxFuture<'a, ExecutionResult<Given>> {
        Box::pin(async move {
            let Some(member) = info.model.field(info.ty.innermost(), name) else {
                return Err(FieldError::from(format!("there is no field {name}")));
            };
            match &member.source {
                Source::Member(wire) => complete(info, &member.ty, self::member(self.0, wire), executor).await,
                Source::JsonIn(encoded) => {
                    let text = self.0.get(encoded).and_then(Data::as_str).and_then(|text| text.parse().ok());
                    let value = text.and_then(|Base64(bytes)| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
                    complete(info, &member.ty, &value, executor).await
                }
                Source::Call(call) => {
                    let arguments = call::Arguments::of(&info.model, member, arguments);
                    let context = executor.context();
                    let answer = call::run(call, context, self.0, arguments);
                    let answer = if info.ty.innermost() == MUTATION {
                        let name = executor.look_ahead().field_name().to_owned();
                        context.once(name, answer).await
                    } else {
                        answer.await
                    };
                    match answer {
                        Ok(answer) => complete(info, &member.ty, &answer, executor).await,
                        Err(problem) => Err(error_of(&problem)),
                    }
                }
            }
        })
    }

    fn resolve_into_type_async<'a>(
        &'a self,
        info: &'a Info,
        name: &str,
        selection: Option<&'a [Selection<'a, Given>]>,
        executor: &'a Executor<'a, 'a, Context, Given>,
    ) -> BoxFuture<'a, ExecutionResult<Given>> {
        let concrete = info.with(Ty::named(name));
        Box::pin(async move { self.resolve_async(&concrete, selection, executor).await })
    }
}

impl GraphQLSubscriptionValue<Given> for Node<'_> {
    fn resolve_field_into_stream<'s, 'i, 'ft, 'args, 'e, 'ref_e, 'res, 'f>(
        &'s self,
        info: &'i Info,
        name: &'ft str,
        arguments: Arguments<'args, Given>,
        executor: &'ref_e Executor<'ref_e, 'e, Context, Given>,
    ) -> BoxFuture<'f, Result<Value<ValuesStream<'res, Given>>, FieldError<Given>>>
    where
        's: 'f,
        'i: 'res,
        'ft: 'f,
        'args: 'f,
        'ref_e: 'f,
        'res: 'f,
        'e: 'res,
    {
        Box::pin(async move {
            let Some(member) = info.model.field(info.ty.innermost(), name) else {
                return Err(FieldError::from(format!("there is no field {name}")));
            };
            let Source::Call(call) = &member.source else {
                return Err(FieldError::from(format!("{name} is no subscription")));
            };
            let arguments = call::Arguments::of(&info.model, member, &arguments);
            let stream = live::subscribe(call, executor.context(), arguments).await;
            let stream = stream.map_err(|problem| error_of(&problem))?;
            let executor = Arc::new(executor.as_owned_executor());
            let values = stream.then(move |item| {
                let executor = executor.clone();
                async move {
                    let executor = executor.as_executor();
                    let answer = match item {
                        Ok(item) => complete(info, &member.ty, &item, &executor).await,
                        Err(problem) => Err(error_of(&problem)),
                    };
                    let value = answer.map_err(|error| vec![executor.new_error(error)])?;
                    let errors = executor.take_errors();
                    if errors.is_empty() { Ok(value) } else { Err(errors) }
                }
            });
            let values: ValuesStream<'res, Given> = Box::pin(values);
            Ok(Value::Scalar(values))
        })
    }
}

/// What is answered for data of this type.
fn complete<'a>(
    info: &'a Info,
    ty: &'a Ty,
    data: &'a Data,
    executor: &'a Executor<'_, '_, Context, Given>,
) -> BoxFuture<'a, ExecutionResult<Given>> {
    Box::pin(async move {
        match (ty, data) {
            (_, Data::Null) => Ok(Value::Null),
            (Ty::Maybe(inner), data) => complete(info, inner, data, executor).await,
            (Ty::List(inner), Data::Array(list)) => {
                let composite = info.model.is_composite(inner.innermost());
                let mut values = Vec::with_capacity(list.len());
                if composite {
                    // Side by side, so that what they ask of a port is asked at once.
                    for value in join_all(list.iter().map(|data| complete(info, inner, data, executor))).await {
                        values.push(value?);
                    }
                } else {
                    for data in list {
                        values.push(complete(info, inner, data, executor).await?);
                    }
                }
                let holds_null = !matches!(**inner, Ty::Maybe(_)) && values.iter().any(Value::is_null);
                if holds_null { Ok(Value::Null) } else { Ok(Value::list(values)) }
            }
            (Ty::Named(name), data) => match info.model.get(name).map(|of| &of.shape) {
                Some(Shape::Scalar(scalar)) => leaf(*scalar, data),
                Some(Shape::Enum(choices)) => {
                    let choice = choices.iter().find(|choice| data.as_str() == Some(&choice.wire));
                    let choice = choice.ok_or_else(|| unfit(name, data))?;
                    Ok(Value::Scalar(Given::String(choice.name.to_string())))
                }
                _ if data.is_object() => executor.resolve_async(&info.with(ty.clone()), &Node(data)).await,
                _ => Err(unfit(name, data)),
            },
            (Ty::List(inner), data) => Err(unfit(&format!("[{}]", inner.innermost()), data)),
        }
    })
}

fn leaf(scalar: Scalar, data: &Data) -> ExecutionResult<Given> {
    let value = match (scalar, data) {
        (Scalar::Json, data) => Some(Given::of(data.clone())),
        (Scalar::Int, data) => data.as_i64().and_then(|number| i32::try_from(number).ok()).map(Given::Int),
        (Scalar::Float, data) => data.as_f64().map(Given::Float),
        (Scalar::Boolean, data) => data.as_bool().map(Given::Boolean),
        (Scalar::Long | Scalar::Position | Scalar::Id, Data::Number(number)) if !number.is_f64() => {
            Some(Given::String(number.to_string()))
        }
        (Scalar::Long | Scalar::Position, Data::String(digits)) => whole(digits).map(|_| Given::String(digits.clone())),
        (Scalar::String | Scalar::Id | Scalar::Bytes | Scalar::DateTime, Data::String(text)) => {
            Some(Given::String(text.clone()))
        }
        _ => None,
    };
    value.map(Value::Scalar).ok_or_else(|| unfit(scalar.name(), data))
}

/// What came is not what a schema had said.
fn unfit(name: &str, data: &Data) -> FieldError<Given> {
    let start: String = data.to_string().chars().take(100).collect();
    let message = format!("the answer does not fit its schema: {start} is no {name}");
    error_of(&Problem::new("failed", message.clone()).with("reason", message))
}

pub(crate) fn error_of(problem: &Problem) -> FieldError<Given> {
    problem.report();
    FieldError::new(&problem.message, Value::Scalar(Given::Json(problem.extensions())))
}
