//! Names of DNS.

use sim_core::wire::dns::DnsName;

use super::{Because, Leaf, Scalar};

impl Leaf for DnsName {
    const EXPECTED: &'static str = "a domain name like \"corp.example\"";

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        scalar.text()?.parse().map_err(|error: sim_core::wire::dns::NotAName| Some(error.to_string()))
    }
}

/// Who asks whom by an endpoint of a resolver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResolverDirection {
    /// Others ask the resolver.
    Inbound,
    /// The resolver asks others.
    Outbound,
}

impl Leaf for ResolverDirection {
    const EXPECTED: &'static str = "a direction of a resolver's endpoint";

    fn words() -> Vec<&'static str> {
        vec!["inbound", "outbound"]
    }

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        match scalar.text()? {
            "inbound" => Ok(Self::Inbound),
            "outbound" => Ok(Self::Outbound),
            _ => Err(None),
        }
    }
}
