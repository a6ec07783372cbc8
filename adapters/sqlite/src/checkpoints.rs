//! Checkpoints: compare-and-set under a fencing token (ES-13).

use crate::checksum::Checksum;
use crate::error::Fault;
use portolan_kernel::ports::{AppendError, StoreId};
use portolan_kernel::values::{Checkpoint, CheckpointState, Move, Position, Token};
use rusqlite::{Connection, OptionalExtension, params};

pub(crate) fn load(conn: &Connection, store: StoreId, name: &str) -> Result<CheckpointState, Fault> {
    let mut statement = conn.prepare_cached("SELECT position, token, checksum FROM checkpoints WHERE name = ?1")?;
    let row: Option<(Option<i64>, i64, i64)> =
        statement.query_row([name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
    let Some((position, token, checked)) = row else {
        return Ok(CheckpointState::new(store, None, Token::default()));
    };
    if checksum(name, position, token) != checked {
        return Err(Fault::Damaged(format!("table checkpoints, name {name}")));
    }
    let position = position.and_then(|position| Position::new(position.cast_unsigned()));
    Ok(CheckpointState::new(store, position, Token(token.cast_unsigned())))
}

/// Tells of every checkpoint whose row is damaged, or that stands past the frontier.
pub(crate) fn verify(
    conn: &Connection,
    store: StoreId,
    frontier: Option<Position>,
    mut tell: impl FnMut(Fault),
) -> Result<(), Fault> {
    let mut names = conn.prepare("SELECT name FROM checkpoints")?;
    let mut rows = names.query([])?;
    while let Some(row) = rows.next()? {
        let name = row.get_ref(0)?.as_str()?;
        match load(conn, store, name) {
            Ok(state) if state.position <= frontier => {}
            Ok(_) => tell(Fault::Damaged(format!("table checkpoints, name {name}: it stands past the frontier"))),
            Err(fault) => tell(fault),
        }
    }
    Ok(())
}

/// What the move would make of the checkpoint, if it may happen.
pub(crate) fn judge(
    checkpoint: &Checkpoint,
    stands: CheckpointState,
    frontier: Option<Position>,
) -> Result<CheckpointState, AppendError> {
    if checkpoint.token < stands.token || checkpoint.from != stands.position {
        return Err(AppendError::CheckpointMoved {
            name: checkpoint.name.clone(),
            actual: stands.position,
            token: stands.token,
        });
    }
    let position = match checkpoint.to {
        Move::Claim => stands.position,
        Move::At(to) => Some(to),
        Move::Reset(to) => to,
    };
    if checkpoint.to != Move::Claim && position > frontier {
        return Err(AppendError::Invalid(format!(
            "checkpoint {} would move past the frontier, where nothing is",
            checkpoint.name
        )));
    }
    Ok(CheckpointState::new(stands.store, position, checkpoint.token))
}

pub(crate) fn save(conn: &Connection, name: &str, state: CheckpointState) -> Result<(), Fault> {
    let position = state.position.map(|position| position.get().cast_signed());
    let token = state.token.0.cast_signed();
    conn.prepare_cached("INSERT OR REPLACE INTO checkpoints VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        name,
        position,
        token,
        checksum(name, position, token)
    ])?;
    Ok(())
}

fn checksum(name: &str, position: Option<i64>, token: i64) -> i64 {
    Checksum::of("checkpoints").bytes(name.as_bytes()).maybe(position).number(token).get()
}
