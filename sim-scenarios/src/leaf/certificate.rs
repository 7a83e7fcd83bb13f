//! The leaves of certificates: where keys and certificates are, and the date on which a world begins.

use sim_core::crypto::signature::KeyType;
use sim_core::time::Duration;

use super::{Because, Leaf, Name, Scalar};

/// Where a certificate's private key is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeySource {
    /// It is drawn from the seed.
    Drawn(KeyType),
    /// In this file, in PEM.
    File(String),
    /// In this environment variable, in PEM.
    Environment(String),
}

impl Leaf for KeySource {
    const EXPECTED: &'static str =
        "a private key: \"ecdsa-p256\", \"ecdsa-p384\", \"rsa-2048\", \"file:PATH\" or \"env:VARIABLE\"";
    const SECRET: bool = true;

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        let text = scalar.text()?;
        match (text, text.split_once(':')) {
            ("ecdsa-p256", _) => Ok(Self::Drawn(KeyType::EcdsaP256)),
            ("ecdsa-p384", _) => Ok(Self::Drawn(KeyType::EcdsaP384)),
            ("rsa-2048", _) => Ok(Self::Drawn(KeyType::Rsa)),
            (_, Some(("file", path))) => Ok(Self::File(path.to_owned())),
            (_, Some(("env", variable))) => Ok(Self::Environment(variable.to_owned())),
            _ => Err(None),
        }
    }
}

/// Where certificates are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PemSource {
    /// In this file, in PEM.
    File(String),
    /// A CA that is drawn from the seed.
    Name(Name),
}

impl Leaf for PemSource {
    const EXPECTED: &'static str = "\"file:PATH\" of certificates in PEM, or the name of a CA";

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        let text = scalar.text()?;
        match text.split_once(':') {
            Some(("file", path)) => Ok(Self::File(path.to_owned())),
            Some(_) => Err(None),
            None => Ok(Self::Name(Name(text.to_owned()))),
        }
    }
}

/// A date, counted from 1970-01-01 00:00:00 UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Calendar(pub(crate) Duration);

impl Leaf for Calendar {
    const EXPECTED: &'static str = "a date from 1970 to 2200 like \"2026-11-25T10:00:00Z\"";

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        let date: jiff::Timestamp = scalar.text()?.parse().map_err(|_| None)?;
        // The clock counts nanoseconds in 64 bits, which last for 584 years.
        const LAST: i64 = 230 * 366 * 86_400;
        match (date.as_second(), date.subsec_nanosecond()) {
            (second @ 0..=LAST, 0) => Ok(Self(Duration::from_secs(second as u64))),
            (_, 0) => Err(None),
            _ => Err(Some("certificates count whole seconds".into())),
        }
    }
}
