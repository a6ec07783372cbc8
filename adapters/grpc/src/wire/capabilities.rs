//! What a store is, can do, and takes.

use super::{Wrong, decode_duration, duration, parsed, required};
use crate::proto::{self, capabilities_response};
use portolan_kernel::ports::{Capabilities, Capability, Limits};

impl From<Capability> for proto::Capability {
    fn from(capability: Capability) -> Self {
        match capability {
            Capability::Durability => Self::Durability,
            Capability::SeveralProcesses => Self::SeveralProcesses,
            Capability::Guard => Self::Guard,
            Capability::SeveralStreams => Self::SeveralStreams,
            Capability::Keys => Self::Keys,
            Capability::Checkpoints => Self::Checkpoints,
            _ => Self::Unspecified,
        }
    }
}

/// `None` for one that this version does not know.
pub(super) fn decode_capability(capability: i32) -> Option<Capability> {
    let known = proto::Capability::try_from(capability).ok()?;
    Capability::ALL.into_iter().find(|capability| proto::Capability::from(*capability) == known)
}

impl From<&Capabilities> for proto::CapabilitiesResponse {
    fn from(capabilities: &Capabilities) -> Self {
        let limits = capabilities.limits;
        Self {
            identity: capabilities.identity.to_string(),
            lacks: capabilities.lacks.iter().map(|lack| proto::Capability::from(*lack).into()).collect(),
            key_retention: capabilities.key_retention.map(duration),
            hint_latency: Some(duration(capabilities.hint_latency)),
            limits: Some(capabilities_response::Limits {
                append_events: limits.append_events,
                append_bytes: limits.append_bytes,
                append_streams: limits.append_streams,
                event_bytes: limits.event_bytes,
                event_tags: limits.event_tags,
                note_bytes: limits.note_bytes,
                query_terms: limits.query_terms,
                page_events: limits.page_events,
            }),
            append_request_bytes: 0,
            request_bytes: 0,
            appends: false,
        }
    }
}

pub(crate) fn decode_capabilities(response: &proto::CapabilitiesResponse) -> Result<Capabilities, Wrong> {
    let given = required("limits", response.limits.as_ref())?;
    let mut limits = Limits::default();
    limits.append_events = given.append_events;
    limits.append_bytes = given.append_bytes;
    limits.append_streams = given.append_streams;
    limits.event_bytes = given.event_bytes;
    limits.event_tags = given.event_tags;
    limits.note_bytes = given.note_bytes;
    limits.query_terms = given.query_terms;
    limits.page_events = given.page_events;
    let mut capabilities = Capabilities::new(parsed("identity", &response.identity)?)
        .with_limits(limits)
        .with_hint_latency(decode_duration("hint_latency", response.hint_latency)?);
    if let retention @ Some(_) = response.key_retention {
        capabilities.key_retention = Some(decode_duration("key_retention", retention)?);
    }
    // A lack of something that this version does not know of is a lack of nothing it uses.
    capabilities.lacks = response.lacks.iter().filter_map(|lack| decode_capability(*lack)).collect();
    Ok(capabilities)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use portolan_kernel::ports::StoreId;

    #[test]
    fn they_travel_whole() {
        let mut before = Capabilities::new(StoreId::from_bytes([3; 16]));
        before.lacks.extend(Capability::ALL);
        before.key_retention = Some(Duration::new(315_575_999_999, 999_999_999));
        before.hint_latency = Duration::new(1, 7);
        before.limits.append_bytes = u64::MAX;
        before.limits.event_bytes = 1 << 60;
        before.limits.note_bytes = 3;
        before.limits.append_events = 4;
        before.limits.append_streams = 5;
        before.limits.event_tags = 6;
        before.limits.query_terms = 7;
        before.limits.page_events = 8;
        assert_eq!(decode_capabilities(&(&before).into()).unwrap(), before);
        before.lacks.clear();
        before.key_retention = None;
        assert_eq!(decode_capabilities(&(&before).into()).unwrap(), before);
    }

    #[test]
    fn longer_than_ten_thousand_years_is_that_long() {
        let for_good = Capabilities::new(StoreId::from_bytes([3; 16])).with_key_retention(Some(Duration::MAX));
        let back = decode_capabilities(&(&for_good).into()).unwrap();
        assert_eq!(back.key_retention, Some(Duration::from_secs(315_576_000_000)));
    }
}
