//! The table of laws: what AWS documents and what the field claims, each rule a test that cites it.

mod bgp;
mod dx;
mod firewall;
mod ike;
mod parameters;
mod telemetry;
mod vpc;
mod vpn;
