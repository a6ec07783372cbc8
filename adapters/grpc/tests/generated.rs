//! The generated code is what the files in `proto/` say.
//!
//! After a change of those: `PORTOLAN_REGENERATE=1 cargo test -p portolan-grpc --test generated`.

use protox::prost::Message as _;
use std::path::Path;

#[test]
fn the_generated_code_is_that_of_the_proto_files() {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let services = ["values", "event_store", "commands", "queries", "projections", "sagas"];
    let mut compiler = protox::Compiler::new([crate_root.join("proto")]).unwrap();
    // With comments: they are the documentation of the generated code, and reflection serves them.
    compiler.include_source_info(true).include_imports(true);
    compiler.open_files(services.map(|service| format!("portolan/v1/{service}.proto"))).unwrap();
    let descriptors = compiler.file_descriptor_set();

    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("portolan-grpc");
    std::fs::create_dir_all(&made).unwrap();
    tonic_prost_build::configure()
        .bytes(".")
        .out_dir(&made)
        .emit_rerun_if_changed(false)
        .compile_fds(descriptors.clone())
        .unwrap();
    let code = std::fs::read(made.join("portolan.v1.rs")).unwrap();
    std::fs::remove_dir_all(&made).unwrap();
    same(crate_root, "portolan.v1.rs", &code);
    same(crate_root, "portolan.v1.bin", &descriptors.encode_to_vec());
}

fn same(crate_root: &Path, name: &str, made: &[u8]) {
    let path = crate_root.join("src/generated").join(name);
    if std::env::var_os("PORTOLAN_REGENERATE").is_some() {
        std::fs::write(&path, made).expect("the folder is there");
    }
    let checked_in = std::fs::read(&path).unwrap_or_default();
    assert!(
        checked_in == made,
        "{} is not what proto/ says: PORTOLAN_REGENERATE=1 cargo test -p portolan-grpc --test generated",
        path.display()
    );
}
