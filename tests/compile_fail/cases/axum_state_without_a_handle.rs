//! The state of the router gives no `KnoxHttp`.

use jwt_knox_axum::KnoxAuth;

#[derive(Clone)]
struct AppState;

#[axum::debug_handler(state = AppState)]
async fn me(_: KnoxAuth) {}

fn main() {}
