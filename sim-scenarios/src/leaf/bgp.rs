//! The leaves of BGP sessions: their keys, and what follows too many prefixes.

use core::fmt;

use sim_core::proto::bgp::AfterLimit;

use super::{Because, Leaf, Scalar, duration};

/// Where the key of a BGP session comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Md5KeySource {
    /// It stands in the scenario.
    Inline(Md5Key),
    /// In this file, a trailing line end aside.
    File(String),
    /// In this environment variable.
    Environment(String),
}

impl Leaf for Md5KeySource {
    const EXPECTED: &'static str = "a key of TCP MD5, \"file:PATH\" or \"env:VARIABLE\"";
    const SECRET: bool = true;

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        let text = scalar.text()?;
        Ok(match text.split_once(':') {
            Some(("file", path)) => Self::File(path.to_owned()),
            Some(("env", variable)) => Self::Environment(variable.to_owned()),
            Some(_) | None => Self::Inline(Md5Key::new(text).map_err(Some)?),
        })
    }
}

/// A key of TCP MD5 (RFC 2385). It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Md5Key(String);

impl Md5Key {
    /// Checks a key: 1 to 80 octets of ASCII (RFC 2385 section 4.5), without spaces, quotes and backslashes, which routers'
    /// configurations do not take as they are.
    ///
    /// # Errors
    /// The rule that it breaks; the text does not contain the key.
    pub fn new(key: &str) -> Result<Self, String> {
        if !(1..=80).contains(&key.len()) {
            Err("a key of TCP MD5 has 1 to 80 characters".into())
        } else if !key.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '\\')) {
            Err("a key of TCP MD5 is ASCII without spaces, quotes and backslashes".into())
        } else {
            Ok(Self(key.to_owned()))
        }
    }

    /// The key itself, to be given to TCP and to a device's configuration, and to nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Md5Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Md5Key(hidden)")
    }
}

impl Leaf for AfterLimit {
    const EXPECTED: &'static str = "what follows too many prefixes: \"retry\", \"stay_down\" or a time like \"60s\"";

    fn words() -> Vec<&'static str> {
        vec!["retry", "stay_down"]
    }

    fn schema() -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": Self::EXPECTED })
    }

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        match scalar.text()? {
            "retry" => Ok(Self::Retry),
            "stay_down" => Ok(Self::StayDown),
            time => duration(time).map(Self::Restart).map_err(|_| None),
        }
    }
}
