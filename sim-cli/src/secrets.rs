//! Keys and certificates that do not stand in a scenario: from a file or from the environment.
//!
//! Only this program resolves them; the scenario language knows the name of a secret, never where it lies.
//! A key is never printed: messages name the file or the variable.

use std::path::{Path, PathBuf};

use sim_scenarios::Secrets;

use crate::failure;

/// Where the keys of one scenario are looked for.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Relative file names count from the scenario's directory.
    directory: PathBuf,
}

impl Keys {
    /// The keys of a scenario in this directory.
    pub fn beside(directory: &Path) -> Self {
        Self { directory: directory.to_path_buf() }
    }
}

impl Secrets for Keys {
    /// The only line of a file, without its line end.
    fn file(&self, name: &str) -> Result<String, String> {
        let text = std::fs::read_to_string(self.directory.join(name)).map_err(|error| failure::plain_reason(&error))?;
        let mut lines = text.lines();
        match (lines.next(), lines.next()) {
            (Some(key), None) if !key.is_empty() => Ok(key.to_owned()),
            (None | Some(""), None) => Err("it is empty".into()),
            _ => Err("it has more than one line".into()),
        }
    }

    fn document(&self, name: &str) -> Result<String, String> {
        std::fs::read_to_string(self.directory.join(name)).map_err(|error| failure::plain_reason(&error))
    }

    fn environment(&self, name: &str) -> Result<String, String> {
        #[expect(clippy::disallowed_methods, reason = "the one place where a secret comes from outside")]
        let value = std::env::var(name);
        value.map_err(|error| match error {
            std::env::VarError::NotPresent => "it is not set".into(),
            std::env::VarError::NotUnicode(_) => "it is not UTF-8".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_has_one_line() {
        let directory = tempfile::tempdir().unwrap();
        let keys = Keys::beside(directory.path());
        let with = |text: &str| {
            std::fs::write(directory.path().join("key"), text).unwrap();
            keys.file("key")
        };
        assert_eq!(with("correct.horse\n").unwrap(), "correct.horse");
        assert_eq!(with("correct.horse\r\n").unwrap(), "correct.horse");
        assert_eq!(with("").unwrap_err(), "it is empty");
        assert_eq!(with("\n").unwrap_err(), "it is empty");
        assert_eq!(with("correct.horse\nbattery.staple\n").unwrap_err(), "it has more than one line");
        assert_eq!(keys.file("none").unwrap_err(), "no such file or directory");
    }

    #[test]
    fn a_variable_that_is_not_set_is_no_key() {
        let keys = Keys::beside(Path::new("."));
        assert_eq!(keys.environment("VPNSIM_NO_SUCH_KEY").unwrap_err(), "it is not set");
    }
}
