use portolan_kernel::domain::Row;

#[derive(Row)]
#[row(index(name = "buyer", columns(buyer, total)))]
struct Order {
    #[row(index)]
    buyer: String,
    total: u64,
}

fn main() {}
