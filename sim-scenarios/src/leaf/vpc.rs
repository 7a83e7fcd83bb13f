//! What rules of a VPC's filters are made of.

use std::ops::RangeInclusive;

use schemars::{Schema, json_schema};

use super::{Because, Leaf, Scalar};

/// Ports of UDP or TCP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortRange(pub(crate) RangeInclusive<u16>);

impl Leaf for PortRange {
    const EXPECTED: &'static str = "a port like 443, or ports like \"1024-65535\"";

    fn schema() -> Schema {
        json_schema!({ "type": ["integer", "string"], "description": Self::EXPECTED })
    }

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        let text = match scalar {
            Scalar::Whole(port) => port.to_string(),
            Scalar::Text(text) => text.clone(),
            Scalar::Truth(_) | Scalar::Word => return Err(None),
        };
        let port = |text: &str| text.trim().parse::<u16>().map_err(|_| Some("a port is 0 to 65535".to_owned()));
        let (first, last) = text.split_once('-').unwrap_or((&text, &text));
        let (first, last) = (port(first)?, port(last)?);
        if first > last {
            return Err(Some("the range ends before it begins".into()));
        }
        Ok(Self(first..=last))
    }
}

/// What a rule of a network ACL does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AclAction {
    /// It passes.
    Allow,
    /// It is dropped.
    Deny,
}

impl Leaf for AclAction {
    const EXPECTED: &'static str = "what a rule does";

    fn words() -> Vec<&'static str> {
        vec!["allow", "deny"]
    }

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        match scalar.text()? {
            "allow" => Ok(Self::Allow),
            "deny" => Ok(Self::Deny),
            _ => Err(None),
        }
    }
}
