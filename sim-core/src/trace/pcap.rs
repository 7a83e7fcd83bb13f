//! Captures and key logs.

/// Keys.
pub enum SessionKeys {}
