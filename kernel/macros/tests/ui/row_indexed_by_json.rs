use portolan_kernel::domain::Row;

#[derive(Row)]
struct Order {
    buyer: String,
    #[row(json, index)]
    lines: Vec<String>,
}

fn main() {}
