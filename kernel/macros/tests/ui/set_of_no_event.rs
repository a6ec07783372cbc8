use portolan_kernel::domain::EventSet;

struct Opened;

#[derive(EventSet)]
enum BankEvent {
    Opened(Opened),
}

fn main() {}
