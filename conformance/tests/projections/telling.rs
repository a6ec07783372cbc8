//! Registries that tell something else of their projections.

use crate::registry::Mutant;
use portolan_kernel::ports::{Lag, ProjectionState};
use portolan_kernel::values::{Name, Position};

pub const MUTANTS: &[Mutant] = &[
    Mutant::new("lists all but one", &["PR-01"]).list(|mut list| {
        list.pop();
        list
    }),
    Mutant::new("lists one twice", &["PR-01"]).list(|mut list| {
        list.insert(0, list[0].clone());
        list
    }),
    Mutant::new("lists the last one first", &["PR-01"]).list(|mut list| {
        list.reverse();
        list
    }),
    Mutant::new("knows nothing", &["PR-01"]).knows(|_| Some(false)),
    Mutant::new("takes one for another that it does not know", &["PR-01"])
        .named(|name| if name == "nobody" { Name::new("sums").unwrap() } else { name }),
    Mutant::new("is one position ahead", &["PR-01"]).status(|_, status| {
        status.position = Position::new(status.position.map_or(1, |position| position.get() + 1));
    }),
    Mutant::new("tells the frontier as the position", &["PR-01", "PR-03"])
        .status(|_, status| status.position = status.frontier),
    Mutant::new("tells the position as the frontier", &["PR-01"]).status(|_, status| status.frontier = status.position),
    Mutant::new("tells of no lag", &["PR-01"]).status(|_, status| status.lag = Lag::default()),
    Mutant::new("tells of a lag where there is none", &["PR-01"]).status(|_, status| status.lag.events += 1),
    Mutant::new("forgets what went wrong", &["PR-01", "PR-03"]).status(|_, status| status.last_error = None),
    Mutant::new("forgets where it went wrong", &["PR-01", "PR-03"]).status(|_, status| {
        if let Some(error) = &mut status.last_error {
            error.position = None;
        }
    }),
    Mutant::new("takes stopped for catching up", &["PR-01", "PR-03"]).status(|_, status| {
        if matches!(status.state, ProjectionState::Stopped { .. }) {
            status.state = ProjectionState::CatchingUp;
        }
    }),
    Mutant::new("takes stalled for catching up", &["PR-06"]).status(|_, status| {
        if matches!(status.state, ProjectionState::Stalled { .. }) {
            status.state = ProjectionState::CatchingUp;
        }
    }),
    Mutant::new("takes catching up for stalled", &["PR-06"]).status(|_, status| {
        if status.state == ProjectionState::CatchingUp && status.lag.events > 5 {
            status.state = ProjectionState::Stalled { since: portolan_kernel::values::Timestamp::from_micros(0) };
        }
    }),
    Mutant::new("never says that it has caught up", &["PR-01"]).status(|_, status| {
        if status.state == ProjectionState::CaughtUp {
            status.state = ProjectionState::CatchingUp;
        }
    }),
    Mutant::new("counts no parked events", &["PR-03"]).status(|_, status| status.parked = 0),
    Mutant::new("counts no skipped events", &["PR-03"]).status(|_, status| status.skipped = 0),
    Mutant::new("counts skipped events twice", &["PR-03"]).status(|_, status| status.skipped *= 2),
    Mutant::new("counts no more than two skipped events", &["PR-03"]).status(|_, status| {
        status.skipped = status.skipped.min(2);
    }),
    Mutant::new("does not say which edition is read", &["PR-01", "PR-04"]).status(|_, status| status.edition = None),
    Mutant::new("says that the newest edition is read", &["PR-04"])
        .status(|_, status| status.edition = status.editions.last().map(|last| last.edition)),
    Mutant::new("tells of the edition that is read alone", &["PR-04"]).status(|_, status| {
        let read = status.edition;
        status.editions.retain(|edition| Some(edition.edition) == read);
    }),
    Mutant::new("does not say which edition is active", &["PR-04"])
        .status(|_, status| status.editions.iter_mut().for_each(|edition| edition.is_active = false)),
];
