use portolan_kernel::domain::Row;

#[derive(Row)]
#[row(index(name = "by_buyer", columns(buyr, total)))]
struct Order {
    buyer: String,
    total: u64,
}

fn main() {}
