use portolan_kernel::domain::EventSet;

#[derive(EventSet)]
enum BankEvent {
    Opened { owner: String },
}

fn main() {}
