//! The compile errors that people who define an interface will meet, as text: one for each mistake, which names the
//! argument and the cure.
//!
//! The text is that of the toolchain in `rust-toolchain.toml`. After a change of it, look at the difference that
//! `TRYBUILD=overwrite cargo test --test compile_fail` makes.

#[test]
fn every_mistake_is_one_error_that_names_the_cure() {
    trybuild::TestCases::new().compile_fail("tests/compile-fail/*.rs");
}
