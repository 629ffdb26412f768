//! An application of a test's own on each framework, on a port that is free, until the process ends.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::mpsc,
    thread,
};

use actix_web::dev;
use axum::{Router, serve::Listener};
use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
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

/// Serves each request with `answer`, by plain hyper.
pub fn hyper<F>(answer: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static) -> SocketAddr
where
    F: Future<Output = Response<Full<Bytes>>> + Send,
{
    let (sender, address) = mpsc::channel();
    run(async move {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        sender.send(listener.local_addr().unwrap()).unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let answer = answer.clone();
            tokio::spawn(async move {
                let service = service_fn(|request| {
                    let response = answer(request);
                    async { Ok::<_, std::convert::Infallible>(response.await) }
                });
                // A client that goes away in the middle is no failure of the server.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address.recv().unwrap()
}

/// Runs a server in a thread of its own.
fn run(server: impl Future<Output = ()> + Send + 'static) {
    thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(server);
    });
}
