//! Queries: which events of the log a read, a guard or a subscription is about.

use super::{EventType, Name, NewEvent, StreamId, Tag};
use alloc::vec::Vec;

/// A choice of events: those that match **any** of the items; every event when there is no item.
///
/// Events of system streams (`$…`) match only an item that names their stream or category, or any query
/// made [`with_system`](Self::with_system).
///
/// ```
/// # use portolan_kernel::values::*;
/// # fn main() -> Result<(), InvalidName> {
/// let query = Query::of(Item::new().category(Name::new("account")?))
///     .or(Item::new().tag(Tag::new("audit")?));
/// let event = NewEvent::new(StreamId::new("account-ann")?, EventType::new("account.opened")?, "{}");
/// assert!(query.matches(&event));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Query {
    /// The items, ORed. Empty: all events.
    pub any_of: Vec<Item>,
    /// Whether system streams match like any other.
    pub system: bool,
}

/// One item of a [`Query`]: an event matches when it fits every list that is not empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Item {
    /// In one of these streams.
    pub streams: Vec<StreamId>,
    /// In one of these categories (see [`StreamId::category`]).
    pub categories: Vec<Name>,
    /// Of one of these types.
    pub types: Vec<EventType>,
    /// With **all** of these tags.
    pub tags: Vec<Tag>,
}

impl Query {
    /// Every event of the application; no system streams.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// The events that match this item.
    #[must_use]
    pub fn of(item: Item) -> Self {
        Self { any_of: alloc::vec![item], system: false }
    }

    /// The events of one stream, in log order.
    #[must_use]
    pub fn stream(stream: StreamId) -> Self {
        Self::of(Item::new().stream(stream))
    }

    /// The same query, or this item.
    #[must_use]
    pub fn or(mut self, item: Item) -> Self {
        self.any_of.push(item);
        self
    }

    /// The same query, with system streams treated like any other.
    #[must_use]
    pub fn with_system(self) -> Self {
        Self { system: true, ..self }
    }

    /// Whether the event is one of those chosen. The one definition: every store agrees with it.
    #[must_use]
    pub fn matches(&self, event: &NewEvent) -> bool {
        let hidden = event.stream.is_system() && !self.system;
        if self.any_of.is_empty() {
            return !hidden;
        }
        self.any_of.iter().any(|item| item.matches(event) && (!hidden || item.names_place_of(event)))
    }
}

impl Item {
    /// An item without a condition: it matches every event.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same item, also for this stream.
    #[must_use]
    pub fn stream(mut self, stream: StreamId) -> Self {
        self.streams.push(stream);
        self
    }

    /// The same item, also for this category.
    #[must_use]
    pub fn category(mut self, category: Name) -> Self {
        self.categories.push(category);
        self
    }

    /// The same item, also for this type.
    #[must_use]
    pub fn event_type(mut self, event_type: EventType) -> Self {
        self.types.push(event_type);
        self
    }

    /// The same item, only for events that have this tag too.
    #[must_use]
    pub fn tag(mut self, tag: Tag) -> Self {
        self.tags.push(tag);
        self
    }

    fn matches(&self, event: &NewEvent) -> bool {
        (self.streams.is_empty() || self.streams.contains(&event.stream))
            && (self.categories.is_empty() || self.categories.iter().any(|c| **c == *event.stream.category()))
            && (self.types.is_empty() || self.types.contains(&event.event_type))
            && self.tags.iter().all(|tag| event.tags.contains(tag))
    }

    fn names_place_of(&self, event: &NewEvent) -> bool {
        self.streams.contains(&event.stream) || self.categories.iter().any(|c| **c == *event.stream.category())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn name<T: for<'a> TryFrom<&'a str, Error: core::fmt::Debug>>(text: &str) -> T {
        T::try_from(text).unwrap()
    }

    fn event(stream: &str) -> NewEvent {
        NewEvent::new(name(stream), name("t"), "{}").with_tags([name("a"), name("b")])
    }

    #[rstest]
    #[case::all(Query::all(), true)]
    #[case::empty_item(Query::of(Item::new()), true)]
    #[case::stream(Query::stream(name("s-1")), true)]
    #[case::other_stream(Query::stream(name("s-2")), false)]
    #[case::category(Query::of(Item::new().category(name("s"))), true)]
    #[case::category_is_no_prefix(Query::of(Item::new().category(name("s-1"))), false)]
    #[case::type_and_tag(Query::of(Item::new().event_type(name("t")).tag(name("a"))), true)]
    #[case::tags_are_anded(Query::of(Item::new().tag(name("a")).tag(name("c"))), false)]
    #[case::streams_are_ored(Query::of(Item::new().stream(name("s-2")).stream(name("s-1"))), true)]
    #[case::items_are_ored(Query::of(Item::new().tag(name("c"))).or(Item::new().tag(name("b"))), true)]
    fn matching(#[case] query: Query, #[case] expected: bool) {
        assert_eq!(query.matches(&event("s-1")), expected);
    }

    #[rstest]
    #[case::all(Query::all(), false)]
    #[case::by_type(Query::of(Item::new().event_type(name("t"))), false)]
    #[case::asked_for(Query::all().with_system(), true)]
    #[case::by_stream(Query::stream(name("$s-1")), true)]
    #[case::by_category(Query::of(Item::new().category(name("$s"))), true)]
    fn system_streams_are_left_out_unless_asked_for(#[case] query: Query, #[case] expected: bool) {
        assert_eq!(query.matches(&event("$s-1")), expected);
    }
}
