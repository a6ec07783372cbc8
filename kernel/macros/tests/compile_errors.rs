//! Typical mistakes, and what the compiler says. `TRYBUILD=overwrite` writes the words anew; read them then.

#[test]
fn mistakes_are_explained_where_they_are() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
