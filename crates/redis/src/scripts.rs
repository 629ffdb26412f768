//! The scripts: one for each operation that must be atomic. Redis runs a script while nothing else runs.

use std::sync::LazyLock;

use redis::Script;

macro_rules! scripts {
    ($($name:ident $file:literal)*) => {
        $(
            pub(crate) static $name: LazyLock<Script> =
                LazyLock::new(|| Script::new(concat!(include_str!("scripts/common.lua"), include_str!($file))));
        )*
    };
}

scripts! {
    INSERT "scripts/insert.lua"
    LIST "scripts/list.lua"
    TOUCH "scripts/touch.lua"
    REPLACE "scripts/replace.lua"
    REMOVE "scripts/remove.lua"
    REMOVE_ALL "scripts/remove_all.lua"
}
