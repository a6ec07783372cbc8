//! Capabilities on the wire, whole.

use super::text::{Digits, Text};
use core::time::Duration;
use portolan_kernel::ports::{Capabilities, Capability, Limits, StoreId};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireCapabilities {
    identity: Text<StoreId>,
    lacks: Vec<String>,
    key_retention: Option<WireDuration>,
    hint_latency: WireDuration,
    limits: WireLimits,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WireDuration {
    seconds: Digits,
    nanoseconds: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct WireLimits {
    append_events: u32,
    append_bytes: Digits,
    append_streams: u32,
    event_bytes: Digits,
    event_tags: u32,
    note_bytes: Digits,
    query_terms: u32,
    page_events: u32,
}

impl WireDuration {
    pub(super) fn new(duration: Duration) -> Self {
        Self { seconds: Digits(duration.as_secs()), nanoseconds: duration.subsec_nanos() }
    }

    pub(super) fn decode(&self) -> Duration {
        // `Duration::new` carries from nanoseconds to seconds, and panics where that overflows.
        Duration::from_secs(self.seconds.0).saturating_add(Duration::from_nanos(self.nanoseconds.into()))
    }
}

impl WireCapabilities {
    pub(crate) fn new(capabilities: &Capabilities) -> Self {
        let limits = capabilities.limits;
        Self {
            identity: Text(capabilities.identity),
            lacks: capabilities.lacks.iter().map(|lack| lack.as_str().to_owned()).collect(),
            key_retention: capabilities.key_retention.map(WireDuration::new),
            hint_latency: WireDuration::new(capabilities.hint_latency),
            limits: WireLimits {
                append_events: limits.append_events,
                append_bytes: Digits(limits.append_bytes),
                append_streams: limits.append_streams,
                event_bytes: Digits(limits.event_bytes),
                event_tags: limits.event_tags,
                note_bytes: Digits(limits.note_bytes),
                query_terms: limits.query_terms,
                page_events: limits.page_events,
            },
        }
    }

    pub(crate) fn decode(self) -> Capabilities {
        let mut limits = Limits::default();
        limits.append_events = self.limits.append_events;
        limits.append_bytes = self.limits.append_bytes.0;
        limits.append_streams = self.limits.append_streams;
        limits.event_bytes = self.limits.event_bytes.0;
        limits.event_tags = self.limits.event_tags;
        limits.note_bytes = self.limits.note_bytes.0;
        limits.query_terms = self.limits.query_terms;
        limits.page_events = self.limits.page_events;
        let mut capabilities = Capabilities::new(self.identity.0).with_limits(limits);
        capabilities.key_retention = self.key_retention.as_ref().map(WireDuration::decode);
        capabilities.hint_latency = self.hint_latency.decode();
        // A lack of something that this version does not know of is a lack of nothing it uses.
        capabilities.lacks = self.lacks.iter().filter_map(|name| capability(name)).collect();
        capabilities
    }
}

pub(crate) fn capability(name: &str) -> Option<Capability> {
    Capability::ALL.into_iter().find(|capability| capability.as_str() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_travel_whole() {
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
        let json = serde_json::to_vec(&WireCapabilities::new(&before)).unwrap();
        assert_eq!(crate::wire::from_json::<WireCapabilities>(&json).unwrap().decode(), before);
    }
}
