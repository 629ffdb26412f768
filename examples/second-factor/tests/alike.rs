//! The hashing of passwords is that of the Axum example.

#[test]
fn passwords_are_hashed_as_in_the_axum_example() {
    assert_eq!(include_str!("../src/passwords.rs"), include_str!("../../axum/src/passwords.rs"));
}
