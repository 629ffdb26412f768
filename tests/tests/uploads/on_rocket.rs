//! Uploads on Rocket, as docs/choosing-an-adapter.md shows it.

use std::time::Duration;

use jwt_knox_rocket::KnoxAuth;
use rocket::{
    Data, Request, async_trait,
    data::{self, DataStream, FromData, ToByteUnit},
    http::Status,
    outcome::Outcome,
    post,
    tokio::{
        io::{AsyncReadExt, copy, sink},
        time::timeout,
    },
};

/// How much an upload may have.
const LIMIT: u64 = 10 * 1024 * 1024;

/// How much of a body is read in all, and how long of one that nobody wants.
const MAX_READ: u64 = 64 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(30);

/// An upload, and who sends it.
pub struct Upload {
    auth: KnoxAuth,
    bytes: Vec<u8>,
}

#[async_trait]
impl<'r> FromData<'r> for Upload {
    type Error = ();

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> data::Outcome<'r, Self> {
        let mut body = data.open(MAX_READ.bytes());
        let auth = match request.guard::<KnoxAuth>().await {
            Outcome::Success(auth) => auth,
            Outcome::Error((status, _)) | Outcome::Forward(status) => return reject(status, body).await,
        };
        let mut bytes = Vec::new();
        match (&mut body).take(LIMIT + 1).read_to_end(&mut bytes).await {
            Ok(length) if length as u64 <= LIMIT => Outcome::Success(Self { auth, bytes }),
            Ok(_) => reject(Status::PayloadTooLarge, body).await,
            Err(_) => Outcome::Error((Status::BadRequest, ())),
        }
    }
}

/// Reads the rest of the body before the answer.
async fn reject<'r>(status: Status, mut body: DataStream<'_>) -> data::Outcome<'r, Upload> {
    let _ = timeout(PATIENCE, copy(&mut body, &mut sink())).await;
    Outcome::Error((status, ()))
}

/// Takes no `KnoxAuth` of its own, since that would answer before the body is read.
#[post("/upload", data = "<upload>")]
pub fn upload(upload: Upload) -> String {
    format!("{} bytes from {}", upload.bytes.len(), upload.auth.subject())
}
