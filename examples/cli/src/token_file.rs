//! A file that only its owner can read.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    path::Path,
};

use jwt_knox::Token;

/// Writes the token into a file that only its owner can read from the first byte on, and replaces the old one with it.
pub(crate) fn save(path: &Path, token: &Token) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = create_private(&new)?;
    file.write_all(token.expose().as_bytes())?;
    file.sync_all()?;
    fs::rename(new, path)
}

fn create_private(path: &Path) -> io::Result<File> {
    // A file that an earlier run has left would keep its mode.
    if let Err(error) = fs::remove_file(path)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
