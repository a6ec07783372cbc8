use portolan_kernel::domain::Row;

#[derive(Row)]
#[row(index)]
struct Order {
    buyer: String,
}

fn main() {}
