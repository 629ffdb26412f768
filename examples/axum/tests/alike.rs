//! The examples of the three frameworks have these files in common, but for the name of the adapter.

/// A file of the other two examples, in the words of this one.
macro_rules! alike {
    ($($name:ident $file:literal)*) => {
        $(
            #[test]
            fn $name() {
                let axum = include_str!(concat!("../src/", $file));
                let actix = include_str!(concat!("../../actix/src/", $file)).replace("_actix", "_axum");
                let rocket = include_str!(concat!("../../rocket/src/", $file)).replace("_rocket", "_axum");
                assert_eq!(actix, axum, "examples/actix/src/{} differs", $file);
                assert_eq!(rocket, axum, "examples/rocket/src/{} differs", $file);
            }
        )*
    };
}

alike! {
    database "database.rs"
    passwords "passwords.rs"
    settings "settings.rs"
    store "store.rs"
    users "users.rs"
}
