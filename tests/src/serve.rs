//! An application of a test's own on each framework, on a port that is free, until the process ends.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::mpsc,
    thread,
};

use actix_web::dev;
use axum::{Router, serve::Listener};
use rocket::{Build, Config, Rocket, config::LogLevel, config::Shutdown, fairing::AdHoc};

/// Serves an Axum application.
pub fn axum(app: Router) -> SocketAddr {
    axum_on(app, |listener| listener)
}

/// Serves an Axum application on the listener that `wrap` makes of one of Tokio.
pub fn axum_on<L>(app: Router, wrap: impl FnOnce(tokio::net::TcpListener) -> L + Send + 'static) -> SocketAddr
where
    L: Listener,
    L::Addr: std::fmt::Debug,
{
    let (sender, address) = mpsc::channel();
    run(async move {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        sender.send(listener.local_addr().unwrap()).unwrap();
        axum::serve(wrap(listener), app).await.unwrap();
    });
    address.recv().unwrap()
}

/// Serves an Actix Web application.
pub fn actix(serve: impl FnOnce(TcpListener) -> io::Result<dev::Server> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(|| actix_web::rt::System::new().block_on(async { serve(listener).unwrap().await }));
    address
}

/// Serves a Rocket application.
pub fn rocket(build: impl FnOnce(Rocket<Build>) -> Rocket<Build> + Send + 'static) -> SocketAddr {
    let (sender, port) = mpsc::channel();
    let config = Config {
        port: 0,
        workers: 2,
        log_level: LogLevel::Off,
        shutdown: Shutdown { ctrlc: false, ..Shutdown::default() },
        ..Config::debug_default()
    };
    let liftoff = AdHoc::on_liftoff("port", move |rocket| {
        let port = rocket.config().port;
        Box::pin(async move { sender.send(port).unwrap() })
    });
    run(async move { drop(build(::rocket::custom(config)).attach(liftoff).launch().await.unwrap()) });
    (Ipv4Addr::LOCALHOST, port.recv().unwrap()).into()
}

/// Runs a server in a thread of its own.
fn run(server: impl Future<Output = ()> + Send + 'static) {
    thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(server);
    });
}
