//! The table of laws: what AWS documents and what the field claims, each rule a test that cites it.

mod client;
mod dx;
mod firewall;
mod lan;
mod telemetry;
mod vpc;
mod vpn;
