//! Writes an answer to the file that the user names, so that nobody ever reads half of it.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes `contents` to `path`. A file is replaced by one rename, its links followed; what is no
/// file (a pipe, a terminal, /dev/null) is written into as it stands.
pub(super) fn write_whole(path: &Path, contents: &[u8]) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(there) if there.is_file() => replace(&fs::canonicalize(path)?, contents),
        Ok(_) => OpenOptions::new().write(true).open(path)?.write_all(contents),
        Err(error) if error.kind() == io::ErrorKind::NotFound => replace(path, contents),
        Err(error) => Err(error),
    }
}

fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut staged = OsString::from(".");
    staged.push(name);
    staged.push(format!(".{}", std::process::id()));
    let staged = path.with_file_name(staged);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(&staged)
        .and_then(|mut file| file.write_all(contents).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&staged, path));
    if let Err(error) = written {
        // Ours alone: a name of somebody else's stays.
        if error.kind() != io::ErrorKind::AlreadyExists {
            drop(fs::remove_file(&staged));
        }
        return Err(error);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_is_replaced_and_its_links_stay() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::create_dir(path("deeper")).unwrap();
        write_whole(&path("deeper/file"), b"old and longer").unwrap();
        symlink("deeper/file", path("link")).unwrap();
        write_whole(&path("link"), b"new").unwrap();
        assert_eq!(fs::read(path("deeper/file")).unwrap(), b"new");
        assert!(path("link").is_symlink());
        assert_eq!(fs::read_dir(path("deeper")).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_file_is_never_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("null");
        symlink("/dev/null", &link).unwrap();
        write_whole(&link, b"text").unwrap();
        assert!(link.is_symlink() && !fs::metadata("/dev/null").unwrap().is_file());
        let full = write_whole(Path::new("/dev/full"), b"text").unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        let folder = write_whole(directory.path(), b"text").unwrap_err();
        assert_eq!(folder.kind(), io::ErrorKind::IsADirectory);
    }
}
