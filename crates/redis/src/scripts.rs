//! The scripts: one for each operation. Redis runs a script while nothing else runs.
//!
//! Each declares the one key that it uses. What begins with `#!lua` is a write to Redis, which a replica rejects. A
//! read has no such line and finds out by itself, so that it still works where writes do not: see `common.lua`.

use std::sync::LazyLock;

use jwt_knox::StoreError;
use redis::{Cmd, ErrorKind, FromRedisValue, RedisError, ServerErrorKind, ToRedisArgs, aio::ConnectionLike, cmd};

use crate::convert::store_error;

/// A script and its hash, by which the server knows it.
pub(crate) struct Script {
    code: &'static str,
    hash: LazyLock<String>,
}

macro_rules! scripts {
    ($($name:ident $first_line:literal $file:literal)*) => {
        $(
            pub(crate) static $name: Script = Script {
                code: concat!($first_line, include_str!("scripts/common.lua"), include_str!($file)),
                hash: LazyLock::new(|| redis::Script::new($name.code).get_hash().to_owned()),
            };
        )*
    };
}

// `allow-oom`: what ends sessions, or keeps one going, also runs when memory is full.
scripts! {
    FIND "" "scripts/find.lua"
    LIST "" "scripts/list.lua"
    INSERT "#!lua\n" "scripts/insert.lua"
    TOUCH "#!lua flags=allow-oom\n" "scripts/touch.lua"
    SET_LABEL "#!lua\n" "scripts/set_label.lua"
    ROTATE "#!lua flags=allow-oom\n" "scripts/rotate.lua"
    REMOVE "#!lua flags=allow-oom\n" "scripts/remove.lua"
    REMOVE_ALL "#!lua flags=allow-oom\n" "scripts/remove_all.lua"
}

/// A script with its key and its arguments.
pub(crate) struct Call {
    script: &'static Script,
    key: String,
    arguments: Vec<Vec<u8>>,
}

impl Script {
    /// A call of the script on that key.
    pub(crate) fn on(&'static self, key: String) -> Call {
        Call { script: self, key, arguments: Vec::new() }
    }
}

impl Call {
    pub(crate) fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        self.arguments.extend(argument.to_redis_args());
        self
    }

    /// Runs the script. A node that does not have it is sent the code.
    pub(crate) async fn run<T: FromRedisValue>(&self, connection: &mut impl ConnectionLike) -> Result<T, StoreError> {
        match self.command("EVALSHA", &self.script.hash).query_async(connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.command("EVAL", self.script.code).query_async(connection).await
            }
            outcome => outcome,
        }
        .map_err(|error: RedisError| store_error(error))
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = cmd(name);
        command.arg(script).arg(1).arg(&self.key).arg(&self.arguments);
        command
    }
}
