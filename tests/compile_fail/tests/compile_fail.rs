//! Handlers that are wrong do not compile, and the compiler says what is wrong.

#[test]
fn wrong_handlers_say_what_is_wrong() {
    trybuild::TestCases::new().compile_fail("cases/*.rs");
}
