//! The journal's records: lengths and checksums around JSON.

use portolan_kernel::ports::StoreId;
use portolan_kernel::values::{
    Append, Checkpoint, CheckpointState, EventId, Expected, Format, IdempotencyKey, Move, Name, NewEvent, Position,
    Tag, Timestamp, Token,
};
use serde_json::{Value, json};

/// What comes next in a journal.
pub(crate) enum Found<'a> {
    Whole(&'a [u8]),
    /// The end, or a record that was not written to its end.
    Torn,
    Damaged,
}

pub(crate) enum Content {
    Identity([u8; 16]),
    Append(Append, Timestamp),
    /// A part of the append that follows.
    Part(Append, Timestamp),
}

const HEAD: usize = 20;

/// Length, complement of the length (so that a damaged length is not taken for a torn record), checksums, content.
pub(crate) fn record(content: &Value) -> Vec<u8> {
    let content = content.to_string().into_bytes();
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    let mut record = length.to_le_bytes().to_vec();
    record.extend((!length).to_le_bytes());
    record.extend(sum(&content).to_le_bytes());
    record.extend(sum32(&record).to_le_bytes());
    record.extend(content);
    record
}

/// Takes the next record off `rest`.
pub(crate) fn next<'a>(rest: &mut &'a [u8], ignore_checksums: bool) -> Found<'a> {
    let Some((head, after)) = rest.split_at_checked(HEAD) else { return Found::Torn };
    let length = u32::from_le_bytes(head[..4].try_into().unwrap());
    let intact = length == !u32::from_le_bytes(head[4..8].try_into().unwrap())
        && sum32(&head[..16]) == u32::from_le_bytes(head[16..].try_into().unwrap());
    if !intact {
        // Where the next record begins is unknown.
        *rest = &[];
        return Found::Damaged;
    }
    let Some((content, after)) = after.split_at_checked(length as usize) else { return Found::Torn };
    *rest = after;
    let expected = u64::from_le_bytes(head[8..16].try_into().unwrap());
    if ignore_checksums || sum(content) == expected { Found::Whole(content) } else { Found::Damaged }
}

/// FNV-1a.
fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn sum32(bytes: &[u8]) -> u32 {
    let sum = sum(bytes).to_le_bytes();
    u32::from_le_bytes([sum[0], sum[1], sum[2], sum[3]])
}

pub(crate) fn identity(identity: [u8; 16]) -> Value {
    json!({ "identity": identity })
}

pub(crate) fn append(append: &Append, at: Timestamp) -> Value {
    let checkpoint = append.checkpoint.as_ref().map(|checkpoint| {
        let to = match checkpoint.to {
            Move::Claim => json!({ "claim": true }),
            Move::At(to) => json!({ "at": to.get() }),
            Move::Reset(to) => json!({ "reset": to.map(Position::get) }),
        };
        json!({ "name": *checkpoint.name, "token": checkpoint.token.0, "to": to })
    });
    let key = append
        .key
        .as_ref()
        .map(|key| json!({ "scope": *key.scope, "id": *key.id, "digest": key.digest, "note": hex(&key.note) }));
    json!({
        "at": at.as_micros(),
        "events": append.events.iter().map(event).collect::<Vec<_>>(),
        "expect": append.expect.iter().map(|(stream, _)| stream.as_str()).collect::<Vec<_>>(),
        "checkpoint": checkpoint,
        "key": key,
    })
}

pub(crate) fn part(event: NewEvent, at: Timestamp) -> Value {
    let mut part = append(&Append::new([event]), at);
    part["part"] = json!(true);
    part
}

fn event(event: &NewEvent) -> Value {
    json!({
        "id": event.id.as_bytes(),
        "stream": *event.stream,
        "type": *event.event_type,
        "version": event.version,
        "binary": event.format == Format::Binary,
        "payload": hex(&event.payload),
        "metadata": hex(&event.metadata),
        "tags": event.tags.iter().map(Tag::as_str).collect::<Vec<_>>(),
    })
}

/// What a record says; `None` when it is no record of ours.
pub(crate) fn content(bytes: &[u8]) -> Option<Content> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    if value.get("identity").is_some() {
        return Some(Content::Identity(array(&value["identity"])?));
    }
    let at = Timestamp::from_micros(value["at"].as_u64()?);
    let events: Option<Vec<_>> = value["events"].as_array()?.iter().map(as_event).collect();
    let mut append = Append::new(events?);
    for stream in value["expect"].as_array()? {
        append = append.expect(stream.as_str()?.try_into().ok()?, Expected::NoStream);
    }
    if !value["checkpoint"].is_null() {
        append = append.checkpoint(as_checkpoint(&value["checkpoint"])?);
    }
    if !value["key"].is_null() {
        let key = &value["key"];
        let named = IdempotencyKey::new(as_name(&key["scope"])?, as_name(&key["id"])?, array(&key["digest"])?);
        append = append.key(named.with_note(unhex(&key["note"])?));
    }
    let part = value.get("part").is_some();
    Some(if part { Content::Part(append, at) } else { Content::Append(append, at) })
}

fn as_event(value: &Value) -> Option<NewEvent> {
    let stream = value["stream"].as_str()?.try_into().ok()?;
    let tags: Option<Vec<Tag>> = value["tags"].as_array()?.iter().map(|tag| tag.as_str()?.try_into().ok()).collect();
    let event = NewEvent::new(stream, value["type"].as_str()?.try_into().ok()?, unhex(&value["payload"])?)
        .with_id(EventId::from_bytes(array(&value["id"])?))
        .with_version(u32::try_from(value["version"].as_u64()?).ok()?)
        .with_metadata(unhex(&value["metadata"])?)
        .with_tags(tags?);
    Some(if value["binary"] == true { event.with_format(Format::Binary) } else { event })
}

fn as_checkpoint(value: &Value) -> Option<Checkpoint> {
    let to = &value["to"];
    let to = if to.get("claim").is_some() {
        Move::Claim
    } else if let Some(at) = to.get("at") {
        Move::At(Position::new(at.as_u64()?)?)
    } else {
        Move::Reset(to["reset"].as_u64().and_then(Position::new))
    };
    // The journal's own store: whose checkpoint it is was judged before it was written.
    let state = CheckpointState::new(StoreId::from_bytes([0; 16]), None, Token(0));
    Some(Checkpoint::new(as_name(&value["name"])?, state, Token(value["token"].as_u64()?), to))
}

fn as_name(value: &Value) -> Option<Name> {
    value.as_str()?.try_into().ok()
}

fn array<const N: usize>(value: &Value) -> Option<[u8; N]> {
    let bytes: Option<Vec<u8>> = value.as_array()?.iter().map(|byte| byte.as_u64()?.try_into().ok()).collect();
    bytes?.try_into().ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(value: &Value) -> Option<Vec<u8>> {
    let text = value.as_str()?;
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}
