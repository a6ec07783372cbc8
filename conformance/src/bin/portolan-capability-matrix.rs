//! Prints the capability matrix in Markdown: `portolan-capability-matrix <folder of results>`.

use std::io::Write;
use std::path::Path;

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let dir = std::env::args_os().nth(1).ok_or("name the folder that PORTOLAN_LAWS_REPORT named")?;
    let matrix = portolan_conformance::capability_matrix(Path::new(&dir))?;
    Ok(std::io::stdout().write_all(matrix.as_bytes())?)
}
