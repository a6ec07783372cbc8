use portolan_kernel::domain::Row;

#[derive(Row)]
enum Balance {
    Empty,
}

fn main() {}
