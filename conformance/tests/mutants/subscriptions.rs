//! Wrong in what subscriptions are built on.

use super::store::{Mutant, wait};
use portolan_kernel::values::{Direction, Query, Start};

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        changed: |_, _, _| Box::pin(core::future::pending()),
        ..Mutant::new("a hint that never comes", &["ES-12", "ES-19", "ES-20", "ES-21", "ES-22", "ES-23"])
    },
    Mutant {
        changed: |inner, mut query, after| {
            query.system = false;
            Box::pin(async move { wait(&inner, &query, after).await })
        },
        ..Mutant::new("a hint that leaves out system streams", &["ES-19", "ES-22"])
    },
    Mutant::new("a frontier that backward reads do not tell", &["ES-04", "ES-19", "ES-22", "ES-model"]).read(
        |state, read| {
            let mut page = state.model.read(read)?;
            if read.direction == Direction::Backward {
                page.frontier = None;
            }
            Ok(page)
        },
    ),
    Mutant::new("a tail that leaves out the first of several", &["ES-15", "ES-19", "ES-22"]).read(|state, read| {
        let mut page = state.model.read(read)?;
        let tail = matches!(&read.from, Start::Log(query, Some(_)) if *query == Query::all().with_system());
        if tail && read.direction == Direction::Forward && page.events.len() > 1 {
            page.events.remove(0);
        }
        Ok(page)
    }),
];
