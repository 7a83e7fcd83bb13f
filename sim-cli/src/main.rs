//! The vpnsim program.
fn main() {}
