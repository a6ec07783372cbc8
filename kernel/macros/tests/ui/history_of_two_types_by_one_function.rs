use portolan_kernel::domain::Event;
use portolan_kernel::domain::history::Pieces;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Moved {}

fn split(_: Moved) -> Pieces {
    Pieces::new()
}

#[derive(Event, Serialize, Deserialize)]
#[event(category = "user", retired(Moved, Gone, until = 1, split = split, into(CityChosen = 1)))]
enum UserEvent {
    CityChosen { city: String },
}

fn main() {}
