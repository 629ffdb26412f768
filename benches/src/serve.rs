//! A server on each framework, with one worker thread, until the process ends.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::mpsc,
    thread,
};

use actix_web::dev::Server;
use axum::Router;
use rocket::{
    Build, Rocket,
    config::{Config, LogLevel, Shutdown},
    fairing::AdHoc,
};

/// Keeps this thread, and all that it starts from now on, on one core, where server and clients take turns. On Linux
/// none interrupts another when it is woken, unless `KNOX_BENCH_INTERRUPT` is set: otherwise each answer may cost two
/// more switches between threads, the more often the more of the core the server takes, and they cost more than most
/// of what is compared.
///
/// # Panics
///
/// If the system does not say which cores there are, keeps no thread on one, or was told to be nice to others.
pub fn on_one_core() {
    let core = core_affinity::get_core_ids().unwrap()[0];
    assert!(core_affinity::set_for_current(core), "the system keeps no thread on a core");
    #[cfg(target_os = "linux")]
    if std::env::var_os("KNOX_BENCH_INTERRUPT").is_none() {
        take_turns();
    }
}

#[cfg(target_os = "linux")]
fn take_turns() {
    use thread_priority::{
        NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
        thread_native_id,
    };
    // In the scale of this crate, a niceness of 0.
    let priority = ThreadPriority::Crossplatform(48_u8.try_into().unwrap());
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch);
    set_thread_priority_and_policy(thread_native_id(), priority, policy).unwrap();
}

/// Serves an Axum application.
#[must_use]
pub fn axum(app: Router) -> SocketAddr {
    let (listener, address) = listen();
    listener.set_nonblocking(true).unwrap();
    run(async {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        axum::serve(listener, app).await.unwrap();
    });
    address
}

/// Serves an Actix Web application.
pub fn actix(serve: impl FnOnce(TcpListener) -> io::Result<Server> + Send + 'static) -> SocketAddr {
    let (listener, address) = listen();
    thread::spawn(|| actix_web::rt::System::new().block_on(async { serve(listener).unwrap().await }));
    address
}

/// Serves a Rocket application.
pub fn rocket(build: impl FnOnce(Rocket<Build>) -> Rocket<Build> + Send + 'static) -> SocketAddr {
    let (sender, port) = mpsc::channel();
    let config = Config {
        port: 0,
        log_level: LogLevel::Off,
        shutdown: Shutdown { ctrlc: false, ..Shutdown::default() },
        ..Config::release_default()
    };
    let liftoff = AdHoc::on_liftoff("port", move |rocket| {
        let port = rocket.config().port;
        Box::pin(async move { sender.send(port).unwrap() })
    });
    run(async move { drop(build(::rocket::custom(config)).attach(liftoff).launch().await.unwrap()) });
    (Ipv4Addr::LOCALHOST, port.recv().unwrap()).into()
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn run(server: impl Future<Output = ()> + Send + 'static) {
    thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async { tokio::spawn(server).await.unwrap() });
    });
}
