//! `Admin` does not say which scope it is.

use jwt_knox_rocket::ScopedAuth;

struct Admin;

fn takes_a_guard(_: ScopedAuth<Admin>) {}

fn main() {
    let _ = takes_a_guard;
}
