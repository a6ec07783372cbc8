//! Buses that make something else of a command on its way.

use crate::bus::Mutant;
use bytes::Bytes;
use portolan_kernel::ports::{Body, CommandEnvelope};
use portolan_kernel::values::{Format, Name};
use serde_json::Value;

/// The body as JSON, changed.
fn rewritten(mut command: CommandEnvelope, change: fn(Value) -> Value) -> CommandEnvelope {
    let bytes = match &command.body {
        Body::Encoded(bytes, _) => bytes.clone(),
        Body::Typed(typed) => typed.encode().unwrap(),
    };
    if let Ok(value) = serde_json::from_slice(&bytes) {
        command.body = Body::Encoded(Bytes::from(change(value).to_string()), Format::Json);
    }
    command
}

fn in_floating_point(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_u64() {
            // What has no fraction is written without one, past 2^53 with other digits.
            Some(whole) => Value::from(whole as f64 as u64),
            None => Value::Number(number),
        },
        Value::Array(items) => items.into_iter().map(in_floating_point).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, in_floating_point(value))).collect(),
        other => other,
    }
}

/// What is wrong with the command of a model, made right.
fn mended(command: CommandEnvelope) -> CommandEnvelope {
    rewritten(command, |mut value| {
        if let Some(seats) = value.get_mut("seats").filter(|seats| **seats == 0) {
            *seats = Value::from(9);
        }
        if let Some(Value::Array(guests)) = value.get_mut("guests") {
            guests.retain(|guest| *guest != "");
        }
        value
    })
}

pub const MUTANTS: &[Mutant] = &[
    Mutant::new(
        "forgets the id",
        &["CB-03", "CB-04", "CB-06", "CB-07", "CB-08", "CB-09", "CB-11", "CB-13", "CB-model"],
    )
    .command(|mut command| {
        command.id = None;
        command
    }),
    Mutant::new("folds the case of ids", &["CB-04", "CB-13"]).command(|mut command| {
        command.id = command.id.map(|id| Name::new(id.to_lowercase()).unwrap());
        command
    }),
    Mutant::new("trims ids", &["CB-04", "CB-13"]).command(|mut command| {
        command.id = command.id.map(|id| Name::new(id.trim()).unwrap());
        command
    }),
    Mutant::new("puts the tenant into the id", &["CB-07", "CB-13"]).command(|mut command| {
        let tenant = command.metadata.tenant.take();
        command.id = command.id.map(|id| Name::new(format!("{}{id:.400}", tenant.unwrap_or_default())).unwrap());
        command
    }),
    Mutant::new("forgets the tenant", &["CB-04", "CB-07", "CB-11", "CB-13", "CB-model"]).command(|mut command| {
        command.metadata.tenant = None;
        command
    }),
    Mutant::new("folds the case of tenants", &["CB-04", "CB-07", "CB-13"]).command(|mut command| {
        command.metadata.tenant = command.metadata.tenant.map(|tenant| tenant.to_lowercase());
        command
    }),
    Mutant::new("forgets the correlation", &["CB-07", "CB-13"]).command(|mut command| {
        command.metadata.correlation = None;
        command
    }),
    Mutant::new("correlates everything", &["CB-07"]).command(|mut command| {
        command.metadata.correlation.get_or_insert_with(|| "none".into());
        command
    }),
    Mutant::new("forgets the actor", &["CB-03", "CB-07", "CB-13"]).command(|mut command| {
        command.metadata.actor = None;
        command
    }),
    Mutant::new("forgets the trace", &["CB-07", "CB-13"]).command(|mut command| {
        command.metadata.traceparent = None;
        command
    }),
    Mutant::new("forgets what the application adds", &["CB-07", "CB-13"]).command(|mut command| {
        command.metadata.more.clear();
        command
    }),
    Mutant::new("forgets the deadline", &["CB-03", "CB-08", "CB-09", "CB-13"]).command(|mut command| {
        command.within = None;
        command
    }),
    Mutant::new("waits for no projection", &["CB-09", "CB-13"]).command(|mut command| {
        command.wait_for.clear();
        command
    }),
    Mutant::new("waits for the first projection alone", &["CB-09", "CB-13"]).command(|mut command| {
        command.wait_for.truncate(1);
        command
    }),
    Mutant::new("folds the case of names", &["CB-01"]).command(|mut command| {
        command.name = Name::new(command.name.to_lowercase().trim()).unwrap();
        command
    }),
    Mutant::new("counts in floating point", &["CB-05", "CB-13"])
        .command(|command| rewritten(command, in_floating_point)),
    Mutant::new("mends what is wrong with the input of a model", &["CB-02"]).command(mended),
    Mutant::new("forgets the owner", &["CB-02", "CB-04", "CB-05", "CB-13"]).command(|command| {
        rewritten(command, |mut value| {
            if let Value::Object(fields) = &mut value {
                fields.remove("owner");
            }
            value
        })
    }),
];
