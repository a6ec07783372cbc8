use portolan_kernel::domain::Row;

#[derive(Row)]
struct Order {
    buyer: String,
    lines: Vec<String>,
}

fn main() {}
