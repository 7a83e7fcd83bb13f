//! The table of laws: what AWS documents and what the field claims, each rule a test that cites it.

mod dx;
mod firewall;
mod ipv6;
mod telemetry;
mod vpc;
mod vpn;
