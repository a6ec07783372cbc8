use portolan_kernel::domain::saga;

#[saga(name = "transfer-money")]
struct Transfers;

fn main() {}
