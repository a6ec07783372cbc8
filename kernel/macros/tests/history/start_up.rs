//! Mistakes that no compiler sees: an application says at start-up what is wrong and how it is mended.

use portolan_kernel::domain::history::Histories;
use portolan_kernel::domain::{Event, EventSet, Upcasters};
use serde::{Deserialize, Serialize};

fn said<E: EventSet>() -> String {
    Histories::of::<E>().judge().expect_err("the history is wrong").to_string()
}

#[test]
fn a_default_of_another_type() {
    #[derive(Event, Serialize, Deserialize)]
    #[event(category = "user", version = 2)]
    enum UserEvent {
        Created {
            #[event(added = 2, default = "none")]
            age: u32,
        },
    }
    let said = said::<UserEvent>();
    assert!(
        said.contains("the hop from user.created version 1: what `age` is added with is none of its type"),
        "{said}"
    );
    assert!(said.contains("invalid type: string \"none\", expected u32"), "{said}");
}

mod wide {
    use super::*;

    #[derive(Event, Serialize, Deserialize, Debug, PartialEq)]
    #[event(category = "user", version = 2)]
    pub(crate) enum UserEvent {
        Created {
            #[event(was = "mail", since = 2)]
            email: String,
        },
        Deleted,
    }
}

#[test]
fn two_event_types_with_one_history_each() {
    #[derive(Event, Serialize, Deserialize)]
    #[event(category = "user", version = 2)]
    enum Deletions {
        Deleted,
    }
    let mut histories = Histories::of::<wide::UserEvent>();
    histories.event::<Deletions>();
    let said = histories.judge().expect_err("both tell it").to_string();
    assert!(said.contains("two hops start from user.deleted version 1"), "{said}");
    assert!(said.contains("wide::UserEvent") && said.contains("Deletions"), "{said}");
}

#[test]
fn two_event_types_that_disagree_on_what_is_current() {
    #[derive(Event, Serialize, Deserialize)]
    #[event(category = "user")]
    enum Deletions {
        Deleted,
    }
    let mut histories = Histories::of::<wide::UserEvent>();
    histories.event::<Deletions>();
    let said = histories.judge().expect_err("they disagree").to_string();
    assert!(said.contains("UserEvent writes user.deleted in version 2"), "{said}");
    assert!(said.contains("Deletions in version 1") && said.contains("give both the same version"), "{said}");
}

#[test]
fn a_second_event_type_may_take_the_history_of_the_first() {
    #[derive(Event, Serialize, Deserialize, Debug, PartialEq)]
    #[event(category = "user", version = 2, history = wide::UserEvent)]
    enum Creations {
        Created { email: String },
    }
    let mut histories = Histories::of::<wide::UserEvent>();
    histories.event::<Creations>();
    histories.judge().expect("one tells it for both");
    // Also where the first is not there.
    let upcasters = Histories::of::<Creations>().judge().expect("it is right");
    let old = super::recorded("user.created", 1, r#"{"mail":"a@b"}"#);
    let events = portolan_kernel::domain::decode_recorded::<Creations>(&upcasters, &old).expect("it is upcast");
    assert_eq!(events, [Creations::Created { email: "a@b".into() }]);
}

#[test]
fn a_set_has_the_histories_of_its_events() {
    #[derive(Event, Serialize, Deserialize, Debug, PartialEq)]
    #[event(category = "owner")]
    enum OwnerEvent {
        Moved,
    }
    #[derive(EventSet, Debug, PartialEq)]
    enum BankEvent {
        User(wide::UserEvent),
        Owner(OwnerEvent),
    }
    let upcasters = Histories::of::<BankEvent>().judge().expect("it is right");
    let old = super::recorded("user.created", 1, r#"{"mail":"a@b"}"#);
    let events = portolan_kernel::domain::decode_recorded::<BankEvent>(&upcasters, &old).expect("it is upcast");
    assert_eq!(events, [BankEvent::User(wide::UserEvent::Created { email: "a@b".into() })]);
}

#[test]
fn a_variant_that_came_later_has_no_earlier_versions() {
    #[derive(Event, Serialize, Deserialize)]
    #[event(category = "user", version = 4)]
    enum UserEvent {
        #[event(added = 3)]
        CityVisited {
            #[event(was = "town", since = 4)]
            city: String,
        },
    }
    let upcasters = Upcasters::of::<UserEvent>().expect("the history is right");
    let known: Vec<_> = upcasters.known().map(|(event_type, version, _)| (event_type.to_string(), version)).collect();
    assert_eq!(known, [3, 4].map(|version| ("user.city-visited".to_owned(), version)));
}
