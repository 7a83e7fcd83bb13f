//! What is wrong with bytes that do not parse.

/// A message that is not well-formed: in which layer, at which field, and what the field should have been.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{layer}: {field}: {problem}")]
pub struct WireError {
    /// The protocol, by its usual name (`IPv4`, `UDP`, `ICMP`).
    pub layer: &'static str,
    /// The field, by its name in the RFC.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: &'static str,
}
