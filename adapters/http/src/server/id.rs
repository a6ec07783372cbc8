//! Ids that the server makes itself (RFC 9562).

use portolan_kernel::values::{EventId, Name};
use sha2::{Digest as _, Sha256};
use std::time::{SystemTime, UNIX_EPOCH};

/// A new id (UUIDv7).
///
/// # Errors
///
/// The system gives no randomness.
pub(super) fn fresh() -> Result<EventId, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    bytes[..6].copy_from_slice(&now.to_be_bytes()[10..]);
    Ok(of_version(7, bytes))
}

/// The id of the `at`th of the events with this digest under a key, so that a repetition is told the same ids
/// (UUIDv8).
pub(super) fn derived(key: &Name, digest: [u8; 32], at: usize) -> EventId {
    let hash = Sha256::new().chain_update(digest).chain_update((at as u64).to_be_bytes()).chain_update(key.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    of_version(8, bytes)
}

fn of_version(version: u8, mut bytes: [u8; 16]) -> EventId {
    bytes[6] = bytes[6] & 0x0F | version << 4;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    EventId::from_bytes(bytes)
}
