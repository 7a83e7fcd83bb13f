//! Pre-shared keys that do not stand in a scenario: from a file or from the environment.
//!
//! Only this program resolves them; the scenario language knows the name of a secret, never where it lies.
//! A key is never printed: messages name the file or the variable.

use std::path::{Path, PathBuf};

/// Where secrets of one scenario are looked for.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// Relative file names count from the scenario's directory.
    directory: PathBuf,
}

impl Secrets {
    /// The secrets of a scenario in this directory.
    pub fn beside(directory: &Path) -> Self {
        Self {
            directory: directory.to_path_buf(),
        }
    }

    /// The first line of a file, without its line end.
    ///
    /// # Errors
    /// Why it cannot be had, in words that complete "the key ...".
    pub fn file(&self, name: &str) -> Result<String, String> {
        let path = self.directory.join(name);
        let text = std::fs::read_to_string(&path)
            .map_err(|error| format!("cannot be read from {}: {error}", path.display()))?;
        let mut lines = text.lines();
        match (lines.next(), lines.next()) {
            (Some(key), None) if !key.is_empty() => Ok(key.to_owned()),
            (None | Some(""), None) => Err(format!("file {} is empty", path.display())),
            _ => Err(format!("file {} has more than one line", path.display())),
        }
    }

    /// The value of an environment variable.
    ///
    /// # Errors
    /// Why it cannot be had, in words that complete "the key ...".
    pub fn variable(&self, name: &str) -> Result<String, String> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place where a secret comes from outside"
        )]
        let value = std::env::var(name);
        value.map_err(|error| match error {
            std::env::VarError::NotPresent => {
                format!("is not set: environment variable {name} is missing")
            }
            std::env::VarError::NotUnicode(_) => {
                format!("is not text: environment variable {name} is not UTF-8")
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_has_one_line() {
        let directory = tempfile::tempdir().unwrap();
        let secrets = Secrets::beside(directory.path());
        let with = |text: &str| {
            std::fs::write(directory.path().join("key"), text).unwrap();
            secrets.file("key")
        };
        assert_eq!(with("correct.horse\n").unwrap(), "correct.horse");
        assert_eq!(with("correct.horse\r\n").unwrap(), "correct.horse");
        assert!(with("").unwrap_err().contains("is empty"));
        assert!(with("\n").unwrap_err().contains("is empty"));
        let two = with("correct.horse\nbattery.staple\n").unwrap_err();
        assert!(
            two.contains("more than one line") && !two.contains("horse"),
            "{two}"
        );
        assert!(secrets.file("none").unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn a_missing_variable_is_named() {
        let error = Secrets::beside(Path::new("."))
            .variable("VPNSIM_NO_SUCH_KEY")
            .unwrap_err();
        assert!(error.contains("VPNSIM_NO_SUCH_KEY"), "{error}");
    }
}
