//! Leases: one row a name, which is never deleted, so that no token is given out twice.

use crate::checksum::Checksum;
use crate::error::Fault;
use core::time::Duration;
use portolan_kernel::ports::{Lease, LeaseError};
use portolan_kernel::values::{Name, Token};
use rusqlite::{Connection, OptionalExtension, params};

/// What is asked of a lease.
pub(crate) enum LeaseChange {
    Grant { name: Name, holder: Name, time_to_live: Duration, over: Option<Lease> },
    Renew(Lease),
    Release(Lease),
}

pub(crate) type Judged = Result<Result<Lease, LeaseError>, Fault>;

pub(crate) fn change(conn: &Connection, change: &LeaseChange) -> Judged {
    match change {
        LeaseChange::Grant { name, holder, time_to_live, over } => {
            let (token, held) = load(conn, name)?;
            match held {
                Some(held) if over.as_ref() != Some(&held) => Ok(Err(LeaseError::Held(held))),
                _ => {
                    let lease = Lease::new(name.clone(), holder.clone(), Token(token.0 + 1), *time_to_live);
                    save(conn, name, lease.token, Some(&lease))?;
                    Ok(Ok(lease))
                }
            }
        }
        LeaseChange::Renew(lease) => with_held(conn, lease, |held| {
            let renewals = held.renewals + 1;
            Some(held.renewed(renewals))
        }),
        LeaseChange::Release(lease) => with_held(conn, lease, |_| None),
    }
}

/// Changes the record, if it is still this very lease.
fn with_held(conn: &Connection, lease: &Lease, change: impl FnOnce(Lease) -> Option<Lease>) -> Judged {
    let (token, held) = load(conn, &lease.name)?;
    match held {
        Some(held) if held.token == lease.token => {
            let changed = change(held.clone());
            save(conn, &lease.name, token, changed.as_ref())?;
            Ok(Ok(changed.unwrap_or(held)))
        }
        _ => Ok(Err(LeaseError::Lost { name: lease.name.clone(), token })),
    }
}

/// The largest token granted on the name, and who has it.
fn load(conn: &Connection, name: &Name) -> Result<(Token, Option<Lease>), Fault> {
    let mut statement =
        conn.prepare_cached("SELECT token, holder, time_to_live, renewals, checksum FROM leases WHERE name = ?1")?;
    let row: Option<(i64, Option<String>, i64, i64, i64)> = statement
        .query_row([name.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
        .optional()?;
    let Some((token, holder, time_to_live, renewals, checked)) = row else { return Ok((Token(0), None)) };
    let damaged = || Fault::Damaged(format!("table leases, name {name}"));
    if checked != checksum(name, token, holder.as_deref(), time_to_live, renewals) {
        return Err(damaged());
    }
    let token = Token(token.cast_unsigned());
    let lease = |holder| {
        let ttl = Duration::from_micros(time_to_live.cast_unsigned());
        Ok(Lease::new(name.clone(), holder, token, ttl).renewed(renewals.cast_unsigned()))
    };
    let held = holder.map(|holder| Name::new(holder).map_err(|_| damaged()).and_then(lease)).transpose()?;
    Ok((token, held))
}

/// Tells of every name whose row is damaged.
pub(crate) fn verify(conn: &Connection, mut tell: impl FnMut(Fault)) -> Result<(), Fault> {
    let mut names = conn.prepare("SELECT name FROM leases")?;
    let mut rows = names.query([])?;
    while let Some(row) = rows.next()? {
        let text = row.get_ref(0)?.as_str()?;
        let loaded = match Name::new(text) {
            Ok(name) => load(conn, &name).map(drop),
            Err(_) => Err(Fault::Damaged(format!("table leases, name {text}"))),
        };
        if let Err(fault) = loaded {
            tell(fault);
        }
    }
    Ok(())
}

fn save(conn: &Connection, name: &Name, token: Token, held: Option<&Lease>) -> Result<(), Fault> {
    let micros = |lease: &Lease| i64::try_from(lease.time_to_live.as_micros()).unwrap_or(i64::MAX);
    let (holder, ttl) = (held.map(|lease| lease.holder.as_str()), held.map_or(0, micros));
    let (token, renewals) = (token.0.cast_signed(), held.map_or(0, |lease| lease.renewals.cast_signed()));
    conn.prepare_cached("INSERT OR REPLACE INTO leases VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(params![
        name.as_str(),
        token,
        holder,
        ttl,
        renewals,
        checksum(name, token, holder, ttl, renewals)
    ])?;
    Ok(())
}

fn checksum(name: &str, token: i64, holder: Option<&str>, time_to_live: i64, renewals: i64) -> i64 {
    let mut sum = Checksum::of("leases");
    sum.bytes(name.as_bytes()).number(token);
    match holder {
        Some(holder) => sum.number(1).bytes(holder.as_bytes()),
        None => sum.number(0),
    };
    sum.number(time_to_live).number(renewals).get()
}
