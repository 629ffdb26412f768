//! CORS on Actix Web, as docs/browsers.md shows it.

use std::{io, net::TcpListener};

use actix_cors::Cors;
use actix_web::{
    App, HttpServer,
    dev::Server,
    http::header,
    web::{Data, ServiceConfig},
};
use jwt_knox_actix::{KnoxHttp, routes};

fn cors() -> Cors {
    Cors::default()
        .allowed_origin("https://app.example.com")
        .allowed_methods(["GET", "POST", "PATCH", "DELETE"])
        .allowed_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .expose_headers([header::WWW_AUTHENTICATE, header::RETRY_AFTER])
        // For the cookie. Leave it out if pages send the token in the header.
        .supports_credentials()
        .max_age(3600)
}

/// `api` adds your own routes, with `wrap(RequireAuth::new(knox))` where you want it.
pub fn server(api: fn(&mut ServiceConfig, &KnoxHttp), knox: KnoxHttp, listener: TcpListener) -> io::Result<Server> {
    let app = move || {
        App::new()
            // Around the whole `App`, so also around all guards and built-in routes.
            .wrap(cors())
            .app_data(Data::new(knox.clone()))
            .configure(|config| api(config, &knox))
            .configure(routes(knox.clone()))
    };
    Ok(HttpServer::new(app).listen(listener)?.run())
}
