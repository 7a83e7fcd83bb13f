//! The leaves of pre-shared keys: where one comes from, and what AWS would take.

use core::fmt;

use super::{Because, Leaf, Scalar};

/// Where a pre-shared key comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PskSource {
    /// It stands in the scenario.
    Inline(Psk),
    /// In this file, a trailing line end aside.
    File(String),
    /// In this environment variable.
    Environment(String),
}

impl Leaf for PskSource {
    const EXPECTED: &'static str = "a pre-shared key, \"file:PATH\" or \"env:VARIABLE\"";
    const SECRET: bool = true;

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        let text = scalar.text()?;
        Ok(match text.split_once(':') {
            Some(("file", path)) => Self::File(path.to_owned()),
            Some(("env", variable)) => Self::Environment(variable.to_owned()),
            Some(_) | None => Self::Inline(Psk::new(text).map_err(Some)?),
        })
    }
}

/// A pre-shared key that AWS would take. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Psk(String);

impl Psk {
    /// Checks a key by AWS's rules (8 to 64 of the characters A-Z a-z 0-9 . _, not starting with 0).
    ///
    /// # Errors
    /// The rule that it breaks; the text does not contain the key.
    pub fn new(key: &str) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
        if !(8..=64).contains(&key.chars().count()) {
            Err("a pre-shared key has 8 to 64 characters".into())
        } else if !key.chars().all(allowed) {
            Err("a pre-shared key consists of letters, digits, `.` and `_`".into())
        } else if key.starts_with('0') {
            Err("a pre-shared key does not start with 0".into())
        } else {
            Ok(Self(key.to_owned()))
        }
    }

    /// A key that keeps the rules by the way it was made.
    pub(crate) fn drawn(key: String) -> Self {
        Self(key)
    }

    /// The key's octets, to be given to IKE and to nothing else.
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Psk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Psk(hidden)")
    }
}
