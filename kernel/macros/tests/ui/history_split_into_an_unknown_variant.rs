use portolan_kernel::domain::Event;
use serde::{Deserialize, Serialize};

use portolan_kernel::domain::history::Pieces;

#[derive(Deserialize)]
struct Moved {}

fn split(_: Moved) -> Pieces {
    Pieces::new()
}

#[derive(Event, Serialize, Deserialize)]
#[event(category = "user", retired(Moved, until = 1, split = split, into(CityChosen = 1, StreetChose = 1)))]
enum UserEvent {
    CityChosen { city: String },
    StreetChosen { street: String },
}

fn main() {}
