//! The table of laws: what AWS documents and what the field claims, each rule a test that cites it.

mod dx;
mod firewall;
mod hub;
mod flow_logs;
mod telemetry;
mod tgw;
mod vpc;
mod vpn;
