use portolan_kernel::domain::Row;

#[derive(Row)]
struct Order {
    buyer: String,
    #[row(rename = "buyer")]
    owner: String,
}

fn main() {}
