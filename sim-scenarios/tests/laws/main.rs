//! The table of laws: what AWS documents and what the field claims, each rule a test that cites it.

mod bgp;
mod client;
mod dx;
mod field;
mod firewall;
mod flow_logs;
mod hub;
mod ike;
mod ipv6;
mod ipv6_outside;
mod lan;
mod parameters;
mod telemetry;
mod tgw;
mod vpc;
mod vpn;
