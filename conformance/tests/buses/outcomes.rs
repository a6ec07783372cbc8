//! Buses that make something else of an outcome on its way.

use crate::bus::Mutant;
use portolan_kernel::ports::{CommandError, Receipt, Source};
use portolan_kernel::values::{Position, Revision};
use serde_json::json;

fn source() -> Source {
    Source::new("something else")
}

/// The receipt, changed.
fn told(outcome: Result<Receipt, CommandError>, change: fn(&mut Receipt)) -> Result<Receipt, CommandError> {
    outcome.map(|mut receipt| {
        change(&mut receipt);
        receipt
    })
}

pub const MUTANTS: &[Mutant] = &[
    Mutant::new("knows no unknown commands", &["CB-01", "CB-13"]).outcome(|outcome| {
        outcome.map_err(|error| match error {
            CommandError::UnknownCommand(name) => CommandError::Other(Source::new(format!("no {name}"))),
            other => other,
        })
    }),
    Mutant::new("lists the first violation alone", &["CB-02", "CB-13"]).outcome(|outcome| {
        outcome.map_err(|error| match error {
            CommandError::Invalid(violations) => CommandError::Invalid(violations.into_iter().take(1).collect()),
            other => other,
        })
    }),
    Mutant::new("forgets indexes in paths", &["CB-02", "CB-13"]).outcome(|outcome| {
        outcome.map_err(|error| match error {
            CommandError::Invalid(mut violations) => {
                violations.iter_mut().for_each(|violation| violation.path.retain(|c| !c.is_ascii_digit()));
                CommandError::Invalid(violations)
            }
            other => other,
        })
    }),
    Mutant::new("forgets codes of violations", &["CB-02", "CB-13"]).outcome(|outcome| {
        outcome.map_err(|error| match error {
            CommandError::Invalid(mut violations) => {
                violations.iter_mut().for_each(|violation| violation.code.clear());
                CommandError::Invalid(violations)
            }
            other => other,
        })
    }),
    Mutant::new("takes invalid for malformed", &["CB-02", "CB-09", "CB-13", "CB-model"]).outcome(|outcome| {
        outcome.map_err(|error| match error {
            CommandError::Invalid(_) => CommandError::Malformed(error.to_string()),
            other => other,
        })
    }),
    Mutant::new("takes malformed for invalid", &["CB-02", "CB-13"]).outcome(|outcome| {
        outcome.map_err(|error| match error {
            CommandError::Malformed(_) => CommandError::Invalid(vec![]),
            other => other,
        })
    }),
    Mutant::new("takes denied for rejected", &["CB-03", "CB-13"]).outcome(|outcome| {
        outcome.map_err(|error| match error {
            CommandError::Denied(message) => {
                CommandError::Rejected { code: "denied".into(), message, fields: json!({}) }
            }
            other => other,
        })
    }),
    Mutant::new("tells of a hundred events at most", &["CB-06", "CB-13"])
        .outcome(|outcome| told(outcome, |receipt| receipt.events.truncate(100))),
    Mutant::new("tells of a thousand events at most", &["CB-13"])
        .outcome(|outcome| told(outcome, |receipt| receipt.events.truncate(1_000))),
    Mutant::new("forgets the fields of rejections", &["CB-04", "CB-05", "CB-13"]).outcome(|outcome| {
        outcome.map_err(|error| match error {
            CommandError::Rejected { code, message, .. } => CommandError::Rejected { code, message, fields: json!({}) },
            other => other,
        })
    }),
    Mutant::new("forgets the words of rejections", &["CB-05", "CB-13"]).outcome(|outcome| {
        outcome.map_err(|error| match error {
            CommandError::Rejected { code, fields, .. } => {
                CommandError::Rejected { message: code.clone(), code, fields }
            }
            other => other,
        })
    }),
    Mutant::new("takes conflicts for busy", &["CB-05", "CB-13"]).outcome(|outcome| {
        outcome.map_err(|error| match error {
            CommandError::Conflict { .. } => CommandError::Busy(source()),
            other => other,
        })
    }),
    Mutant::new("forgets where the conflict is", &["CB-05", "CB-13"]).outcome(|outcome| {
        outcome.map_err(|error| match error {
            CommandError::Conflict { stream, .. } => CommandError::Conflict { stream, actual: None },
            other => other,
        })
    }),
    Mutant::new("takes a reused id for a rejection", &["CB-04", "CB-13", "CB-model"]).outcome(|outcome| {
        outcome.map_err(|error| match error {
            CommandError::KeyReused => {
                CommandError::Rejected { code: "key-reused".into(), message: "no".into(), fields: json!({}) }
            }
            other => other,
        })
    }),
    Mutant::new("takes unknown for busy", &["CB-04", "CB-06", "CB-08", "CB-13"]).outcome(|outcome| {
        outcome.map_err(|error| match error {
            CommandError::Unknown(source) => CommandError::Busy(source),
            other => other,
        })
    }),
    Mutant::new("takes unknown for a passed deadline", &["CB-04", "CB-06", "CB-08", "CB-13"]).outcome(|outcome| {
        outcome.map_err(|error| match error {
            CommandError::Unknown(_) => CommandError::DeadlinePassed,
            other => other,
        })
    }),
    Mutant::new("takes a passed deadline for unknown", &["CB-08", "CB-13"]).outcome(|outcome| {
        outcome.map_err(|error| match error {
            CommandError::DeadlinePassed => CommandError::Unknown(source()),
            other => other,
        })
    }),
    Mutant::new("takes not caught up for done", &["CB-09", "CB-13"]).outcome(|outcome| match outcome {
        Err(CommandError::NotCaughtUp { receipt, .. }) => Ok(*receipt),
        other => other,
    }),
    Mutant::new("takes not caught up for unknown", &["CB-09", "CB-13"]).outcome(|outcome| {
        outcome.map_err(|error| match error {
            CommandError::NotCaughtUp { .. } => CommandError::Unknown(source()),
            other => other,
        })
    }),
    Mutant::new("forgets the receipt of what has not caught up", &["CB-09", "CB-13"]).outcome(|outcome| {
        outcome.map_err(|error| match error {
            CommandError::NotCaughtUp { waiting, .. } => {
                CommandError::NotCaughtUp { receipt: Box::new(Receipt::none()), waiting }
            }
            other => other,
        })
    }),
    Mutant::new("takes shutting down for busy", &["CB-12", "CB-13"]).outcome(|outcome| {
        outcome.map_err(|error| match error {
            CommandError::ShuttingDown => CommandError::Busy(source()),
            other => other,
        })
    }),
    Mutant::new("takes busy for broken", &["CB-06", "CB-12", "CB-13"]).outcome(|outcome| {
        outcome.map_err(|error| match error {
            CommandError::Busy(source) => CommandError::Other(source),
            other => other,
        })
    }),
    Mutant::new("forgets what a backend said", &["CB-13"]).outcome(|outcome| {
        outcome.map_err(|error| match error {
            CommandError::Busy(_) => CommandError::Busy(source()),
            CommandError::Unknown(_) => CommandError::Unknown(source()),
            other => other,
        })
    }),
    Mutant::new("forgets that it is a repetition", &["CB-04", "CB-06", "CB-07", "CB-08", "CB-09", "CB-13", "CB-model"])
        .outcome(|outcome| told(outcome, |receipt| receipt.repeated = false)),
    Mutant::new("forgets the correlation of receipts", &["CB-07", "CB-09", "CB-13"])
        .outcome(|outcome| told(outcome, |receipt| receipt.correlation = None)),
    Mutant::new("forgets the correlation of repetitions", &["CB-04", "CB-07", "CB-09", "CB-13", "CB-model"]).outcome(
        |outcome| {
            told(outcome, |receipt| {
                if receipt.repeated {
                    receipt.correlation = None;
                }
            })
        },
    ),
    Mutant::new(
        "tells of the first event alone",
        &["CB-04", "CB-06", "CB-08", "CB-09", "CB-10", "CB-11", "CB-13", "CB-model"],
    )
    .outcome(|outcome| told(outcome, |receipt| receipt.events.truncate(1))),
    Mutant::new("tells the events in reverse", &["CB-04", "CB-06", "CB-09", "CB-10", "CB-11", "CB-13", "CB-model"])
        .outcome(|outcome| told(outcome, |receipt| receipt.events.reverse())),
    Mutant::new("tells the position after", &["CB-06", "CB-09", "CB-13", "CB-model"]).outcome(|outcome| {
        told(outcome, |receipt| {
            receipt.position = receipt.position.and_then(|position| Position::new(position.get() + 1));
        })
    }),
    Mutant::new("tells no position of repetitions", &["CB-04", "CB-07", "CB-09", "CB-13", "CB-model"]).outcome(
        |outcome| {
            told(outcome, |receipt| {
                if receipt.repeated {
                    receipt.position = None;
                }
            })
        },
    ),
    Mutant::new("counts revisions from 1", &["CB-05", "CB-06", "CB-09", "CB-10", "CB-13", "CB-model"]).outcome(
        |outcome| {
            told(outcome, |receipt| {
                for (_, revision) in &mut receipt.streams {
                    *revision = revision.map(|revision| Revision::new(revision.get() + 1));
                }
            })
        },
    ),
    Mutant::new("tells of one stream alone", &["CB-06", "CB-13", "CB-model"])
        .outcome(|outcome| told(outcome, |receipt| receipt.streams.truncate(1))),
    Mutant::new("forgets descriptions", &["CB-13"]).commands(|mut infos| {
        infos.iter_mut().for_each(|info| info.description.clear());
        infos
    }),
    Mutant::new("forgets schemas", &["CB-13"]).commands(|mut infos| {
        infos.iter_mut().for_each(|info| info.schema = None);
        infos
    }),
    Mutant::new("forgets a command", &["CB-01", "CB-13"]).commands(|mut infos| {
        infos.pop();
        infos
    }),
    Mutant::new("lists commands in reverse", &["CB-01", "CB-13"]).commands(|mut infos| {
        infos.reverse();
        infos
    }),
];
