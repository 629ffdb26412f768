//! Uploads on Actix Web, as docs/choosing-an-adapter.md shows it.

use std::{io, net::TcpListener, time::Duration};

use actix_web::{App, HttpServer, dev::Server, web::ServiceConfig};

pub fn server(
    configure: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
    listener: TcpListener,
) -> io::Result<Server> {
    let app = move || App::new().configure(configure.clone());
    // How long the rest of a body is read that nobody wants. Default: one second.
    let server = HttpServer::new(app).client_disconnect_timeout(Duration::from_secs(30));
    Ok(server.listen(listener)?.run())
}
