//! What a store is, and what it keeps beside its log.

use super::receipt::WireHead;
use super::text::{Base64, MaybeAt, Text, at, position};
use core::fmt;
use core::str::FromStr;
use core::time::Duration;
use portolan_kernel::ports::{Capabilities, Capability, Limits, StoreId};
use portolan_kernel::values::{Appended, CheckpointState, Recalled, Token};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireStore {
    identity: Text<StoreId>,
    lacks: Vec<String>,
    key_retention: Option<Text<Span>>,
    hint_latency: Text<Span>,
    limits: WireLimits,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireLimits {
    append_events: Text<u32>,
    append_bytes: Text<u64>,
    append_streams: Text<u32>,
    event_bytes: Text<u64>,
    event_tags: Text<u32>,
    note_bytes: Text<u64>,
    query_terms: Text<u32>,
    page_events: Text<u32>,
}

/// A duration as seconds with nine decimals: `1.500000000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.0.as_secs(), self.0.subsec_nanos())
    }
}

impl FromStr for Span {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, &'static str> {
        const WRONG: &str = "a duration is seconds with nine decimals";
        let (seconds, nanos) = text.split_once('.').filter(|(_, nanos)| nanos.len() == 9).ok_or(WRONG)?;
        let part = |text: &str| super::text::digits(text).ok_or(WRONG);
        let nanos = u32::try_from(part(nanos)?).map_err(|_| WRONG)?;
        Ok(Self(Duration::new(part(seconds)?, nanos)))
    }
}

impl WireStore {
    pub(crate) fn new(capabilities: &Capabilities) -> Self {
        let limits = capabilities.limits;
        Self {
            identity: Text(capabilities.identity),
            lacks: capabilities.lacks.iter().map(|lack| lack.as_str().to_owned()).collect(),
            key_retention: capabilities.key_retention.map(|kept| Text(Span(kept))),
            hint_latency: Text(Span(capabilities.hint_latency)),
            limits: WireLimits {
                append_events: Text(limits.append_events),
                append_bytes: Text(limits.append_bytes),
                append_streams: Text(limits.append_streams),
                event_bytes: Text(limits.event_bytes),
                event_tags: Text(limits.event_tags),
                note_bytes: Text(limits.note_bytes),
                query_terms: Text(limits.query_terms),
                page_events: Text(limits.page_events),
            },
        }
    }

    pub(crate) fn decode(self) -> Capabilities {
        let mut limits = Limits::default();
        limits.append_events = self.limits.append_events.0;
        limits.append_bytes = self.limits.append_bytes.0;
        limits.append_streams = self.limits.append_streams.0;
        limits.event_bytes = self.limits.event_bytes.0;
        limits.event_tags = self.limits.event_tags.0;
        limits.note_bytes = self.limits.note_bytes.0;
        limits.query_terms = self.limits.query_terms.0;
        limits.page_events = self.limits.page_events.0;
        let mut capabilities = Capabilities::new(self.identity.0).with_limits(limits);
        capabilities.key_retention = self.key_retention.map(|Text(Span(kept))| kept);
        capabilities.hint_latency = self.hint_latency.0.0;
        // A lack of something that this version does not know of is a lack of nothing it uses.
        capabilities.lacks = self.lacks.iter().filter_map(|name| capability(name)).collect();
        capabilities
    }
}

pub(crate) fn capability(name: &str) -> Option<Capability> {
    Capability::ALL.into_iter().find(|capability| capability.as_str() == name)
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireCheckpoint {
    store: Text<StoreId>,
    position: MaybeAt,
    token: Text<u64>,
}

impl WireCheckpoint {
    pub(crate) fn new(state: CheckpointState) -> Self {
        Self { store: Text(state.store), position: at(state.position), token: Text(state.token.0) }
    }

    pub(crate) fn decode(self) -> CheckpointState {
        CheckpointState::new(self.store.0, position(self.position), Token(self.token.0))
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireRecalled {
    first: MaybeAt,
    last: MaybeAt,
    streams: Vec<WireHead>,
    note_base64: Text<Base64>,
    digest_base64: Text<Base64>,
}

impl WireRecalled {
    pub(crate) fn new(recalled: &Recalled) -> Self {
        let appended = &recalled.appended;
        Self {
            first: at(appended.first),
            last: at(appended.last),
            streams: WireHead::list(&appended.streams),
            note_base64: Text(Base64(appended.note.clone())),
            digest_base64: Text(Base64(recalled.digest.to_vec().into())),
        }
    }

    pub(crate) fn decode(self) -> Option<Recalled> {
        let Text(Base64(digest)) = self.digest_base64;
        let appended = Appended::new(position(self.first), position(self.last), WireHead::decode(self.streams));
        let appended = appended.with_note(self.note_base64.0.0).as_repeated();
        Some(Recalled::new(appended, digest.as_ref().try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_travel_whole() {
        let mut before = Capabilities::new(StoreId::from_bytes([3; 16]));
        before.lacks.extend(Capability::ALL);
        before.key_retention = Some(Duration::MAX);
        before.hint_latency = Duration::new(1, 7);
        before.limits.append_bytes = u64::MAX;
        before.limits.event_bytes = 1 << 60;
        before.limits.note_bytes = 3;
        before.limits.append_events = 4;
        before.limits.append_streams = 5;
        before.limits.event_tags = 6;
        before.limits.query_terms = 7;
        before.limits.page_events = 8;
        let json = serde_json::to_string(&WireStore::new(&before)).unwrap();
        assert_eq!(serde_json::from_str::<WireStore>(&json).unwrap().decode(), before);
    }
}
