//! What a service manager is told (sd_notify(3)).

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// A moment in the life of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It serves.
    Ready,
    /// It is about to end.
    Stopping,
}

/// Tells the service manager, where there is one.
///
/// # Errors
/// When there is one and it cannot be told.
pub fn notify(moment: Moment) -> io::Result<()> {
    match std::env::var_os("NOTIFY_SOCKET") {
        Some(socket) if !socket.is_empty() => tell(&socket, moment),
        _ => Ok(()),
    }
}

fn tell(socket: &OsString, moment: Moment) -> io::Result<()> {
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    let words = match moment {
        // The manager may know the process that this one replaced.
        Moment::Ready => format!("READY=1\nMAINPID={}", std::process::id()),
        Moment::Stopping => "STOPPING=1".to_owned(),
    };
    UnixDatagram::unbound()?.send_to_addr(words.as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_manager_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let mut bytes = [0; 100];
        tell(&path.clone().into_os_string(), Moment::Ready).unwrap();
        let length = manager.recv(&mut bytes).unwrap();
        let expected = format!("READY=1\nMAINPID={}", std::process::id());
        assert_eq!(std::str::from_utf8(&bytes[..length]).unwrap(), expected);
        tell(&path.clone().into_os_string(), Moment::Stopping).unwrap();
        let length = manager.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"STOPPING=1");
        drop(manager);
        assert!(tell(&path.into_os_string(), Moment::Ready).is_err());
    }

    #[test]
    fn a_manager_without_a_file_is_told_too() {
        let name = format!("certctl-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        tell(&format!("@{name}").into(), Moment::Stopping).unwrap();
        let mut bytes = [0; 100];
        let length = manager.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"STOPPING=1");
    }
}
