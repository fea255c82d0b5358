//! Where notes come from and go to: descriptors, pipes, terminals, files.
//!
//! What can be waited for is opened anew, under its name in `/dev/fd`: so
//! waiting for it changes nothing for others who have it open, as the shell does.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::unix::pipe;

use crate::address::decode_part;
use crate::signaller::SignallerError;

pub(super) type Input = Box<dyn AsyncRead + Send + Unpin>;
pub(super) type Output = Box<dyn AsyncWrite + Send + Unpin>;

/// Shown by errors.
const EXAMPLE: &str =
    "right ones are stdio:, stdio:?in=3&out=4 and stdio:?in=/tmp/answers&out=/tmp/offers";

/// Both directions.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ends {
    pub(super) input: End,
    pub(super) output: End,
}

/// One direction.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum End {
    /// An open descriptor.
    Descriptor(u32),
    /// A name in the file system.
    Path(PathBuf),
}

impl Ends {
    /// Reads `stdio:[?in=END&out=END]`.
    pub(super) fn parse(uri: &str) -> Result<Self, String> {
        let (_, rest) = uri.split_once(':').unwrap_or_default();
        let mut ends = Self {
            input: End::Descriptor(0),
            output: End::Descriptor(2),
        };
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let Some(query) = rest.strip_prefix('?') else {
            return match rest {
                "" => Ok(ends),
                _ => Err(format!("this URI has no host and no path; {EXAMPLE}")),
            };
        };
        for part in query.split('&') {
            let bad = || format!("what is \"{part}\"? {EXAMPLE}");
            let (name, value) = part.split_once('=').ok_or_else(bad)?;
            let value = decode_part(value).filter(|it| !it.is_empty() && !it.contains('\0'));
            let value = value.ok_or_else(bad)?;
            let end = match value.parse() {
                Ok(number) => End::Descriptor(number),
                Err(_) => End::Path(value.into()),
            };
            match name {
                "in" => ends.input = end,
                "out" => ends.output = end,
                _ => return Err(bad()),
            }
        }
        Ok(ends)
    }

    /// Opens both.
    pub(super) fn open(&self) -> Result<(Input, Output), SignallerError> {
        let failed = |direction: &str, end: &End, error: &io::Error| {
            let what = match end {
                End::Descriptor(number) => format!("descriptor {number}"),
                End::Path(path) => path.display().to_string(),
            };
            let text = format!("stdio: cannot open {direction}={what}: {error}");
            match (end, error.kind()) {
                // Somebody may be about to make it.
                (End::Path(_), io::ErrorKind::NotFound) => SignallerError::Transient(text),
                _ => SignallerError::Permanent(text),
            }
        };
        let input = self.input.open_input();
        let output = self.output.open_output();
        Ok((
            input.map_err(|error| failed("in", &self.input, &error))?,
            output.map_err(|error| failed("out", &self.output, &error))?,
        ))
    }
}

impl End {
    fn path(&self) -> PathBuf {
        match self {
            Self::Descriptor(number) => format!("/dev/fd/{number}").into(),
            Self::Path(path) => path.clone(),
        }
    }

    fn open_input(&self) -> io::Result<Input> {
        let path = self.path();
        let kind = fs::metadata(&path)?.file_type();
        if kind.is_socket() {
            return Ok(Box::new(self.socket()?));
        }
        if kind.is_fifo() || kind.is_char_device() {
            let opened = options(kind.is_fifo()).open_receiver(&path);
            if !opened.as_ref().is_err_and(cannot_be_waited_for) {
                return Ok(Box::new(opened?));
            }
        }
        let file = fs::File::open(&path)?;
        Ok(Box::new(tokio::fs::File::from_std(file)))
    }

    fn open_output(&self) -> io::Result<Output> {
        let path = self.path();
        let kind = match fs::metadata(&path) {
            Ok(metadata) => Some(metadata.file_type()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if kind.is_some_and(|kind| kind.is_socket()) {
            return Ok(Box::new(self.socket()?));
        }
        if let Some(kind) = kind.filter(|it| it.is_fifo() || it.is_char_device()) {
            let opened = options(kind.is_fifo()).open_sender(&path);
            if !opened.as_ref().is_err_and(cannot_be_waited_for) {
                return Ok(Box::new(opened?));
            }
        }
        if kind.is_some_and(|kind| kind.is_file())
            && let Ok(copy) = self.copy()
        {
            // Others write to it, too, and all have one place where they are.
            return Ok(Box::new(tokio::fs::File::from_std(copy.into())));
        }
        let mut options = fs::File::options();
        let file = options
            .append(true)
            .create(self.may_be_made())
            .open(&path)?;
        Ok(Box::new(tokio::fs::File::from_std(file)))
    }

    fn may_be_made(&self) -> bool {
        matches!(self, Self::Path(path) if !path.starts_with(Path::new("/dev")))
    }

    /// Sockets cannot be opened by name.
    fn socket(&self) -> io::Result<tokio::net::UnixStream> {
        let copy = self.copy();
        let copy = copy.map_err(|_| io::Error::other("it is a socket; take a pipe"))?;
        let socket = UnixStream::from(copy);
        socket.set_nonblocking(true)?;
        tokio::net::UnixStream::from_std(socket)
    }

    /// Another descriptor of the same; of the standard ones only.
    fn copy(&self) -> io::Result<OwnedFd> {
        match self {
            Self::Descriptor(0) => io::stdin().as_fd().try_clone_to_owned(),
            Self::Descriptor(1) => io::stdout().as_fd().try_clone_to_owned(),
            Self::Descriptor(2) => io::stderr().as_fd().try_clone_to_owned(),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// Held open for both directions where that can be, a pipe is there for those
/// who come and go at the other end.
fn options(pipe: bool) -> pipe::OpenOptions {
    let mut options = pipe::OpenOptions::new();
    options.unchecked(true);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    options.read_write(pipe);
    options
}

/// As `/dev/null`.
fn cannot_be_waited_for(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uri_says_which() {
        let path = |text: &str| End::Path(text.into());
        for (uri, input, output) in [
            ("stdio:", End::Descriptor(0), End::Descriptor(2)),
            ("stdio://", End::Descriptor(0), End::Descriptor(2)),
            ("stdio:?in=3&out=4", End::Descriptor(3), End::Descriptor(4)),
            ("stdio:?out=1", End::Descriptor(0), End::Descriptor(1)),
            (
                "stdio:?in=/tmp/a%20b&out=/tmp/c",
                path("/tmp/a b"),
                path("/tmp/c"),
            ),
        ] {
            assert_eq!(Ends::parse(uri), Ok(Ends { input, output }), "{uri}");
        }
        for uri in [
            "stdio:x",
            "stdio:?",
            "stdio:?in",
            "stdio:?in=",
            "stdio:?input=3",
            "stdio:?in=%00",
        ] {
            assert!(Ends::parse(uri).unwrap_err().contains("in=3"), "{uri}");
        }
    }
}
