use portolan_kernel::domain::Row;

#[derive(Row)]
struct Order {
    #[row(index, unique)]
    buyer: String,
}

fn main() {}
