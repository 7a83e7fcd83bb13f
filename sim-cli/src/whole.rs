//! Files that are whole or not there: each is written beside its place, which it then takes.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use crate::failure::Failure;

/// Who may read a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Readers {
    /// Whoever may read what else this process makes: the umask says.
    All,
    /// Its owner: it has keys.
    Owner,
}

/// A place for a file, tried before the work begins, so that one that cannot be written to is named at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    path: PathBuf,
}

impl Place {
    /// Makes sure that a file of all readers can be written there; its directory must exist. Nothing is left behind by whoever interrupts
    /// the work before it is.
    pub fn prepare(path: &Path) -> Result<Self, Failure> {
        if path.is_dir() {
            return Err(Failure::Undeliverable {
                path: path.display().to_string(),
                reason: "it is a directory".into(),
                help: Some("name a file".into()),
            });
        }
        beside(path, Readers::All).map_err(|error| Failure::undeliverable(path, &error))?;
        Ok(Self { path: path.to_path_buf() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the file and says where it is.
    pub fn write(self, octets: &[u8]) -> Result<PathBuf, Failure> {
        write(&self.path, octets, Readers::All)?;
        Ok(self.path)
    }
}

/// Writes a file, which may replace another one.
pub fn write(path: &Path, octets: &[u8], readers: Readers) -> Result<(), Failure> {
    let written = filled(path, octets, readers).and_then(|file| Ok(file.persist(path)?));
    written.map(drop).map_err(|error| Failure::undeliverable(path, &error))
}

/// Writes a file where none is; says whether it did.
pub fn write_new(path: &Path, octets: &[u8]) -> Result<bool, Failure> {
    match filled(path, octets, Readers::All).and_then(|file| Ok(file.persist_noclobber(path)?)) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(Failure::undeliverable(path, &error)),
    }
}

fn filled(path: &Path, octets: &[u8], readers: Readers) -> io::Result<NamedTempFile> {
    let mut file = beside(path, readers)?;
    file.write_all(octets)?;
    Ok(file)
}

/// A temporary file next to a place, on the same file system.
fn beside(path: &Path, readers: Readers) -> io::Result<NamedTempFile> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = Builder::new();
    builder.prefix(".vpnsim-");
    #[cfg(unix)]
    if readers == Readers::All {
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("page.html");
        fs::write(&target, "old").unwrap();
        drop(Place::prepare(&target).unwrap());
        assert_eq!(fs::read_to_string(&target).unwrap(), "old", "nothing was delivered");
        Place::prepare(&target).unwrap().write(b"new").unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "new");
        assert!(!write_new(&target, b"newer").unwrap());
        assert_eq!(fs::read_to_string(&target).unwrap(), "new");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_place_that_cannot_be_written_to_is_named_before() {
        let home = tempfile::tempdir().unwrap();
        assert!(Place::prepare(home.path()).unwrap_err().to_string().contains("it is a directory"));
        let error = Place::prepare(&home.path().join("none/page.html")).unwrap_err().to_string();
        assert!(error.contains("none/page.html"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn keys_are_their_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let (keys, page) = (home.path().join("keys"), home.path().join("page"));
        write(&keys, b"psk", Readers::Owner).unwrap();
        write(&page, b"psk", Readers::All).unwrap();
        fs::write(home.path().join("usual"), "").unwrap();
        assert_eq!(mode(&keys), 0o600);
        assert_eq!(mode(&page), mode(&home.path().join("usual")));
    }
}
