//! The table of laws: what AWS documents and what the field claims, each rule a test that cites it.

mod bare;
mod bgp;
mod client;
mod dns;
mod dx;
mod field;
mod firewall;
mod flow_logs;
mod foretold;
mod hub;
mod ike;
mod ipv6;
mod ipv6_outside;
mod lan;
mod lengths;
mod nat_gateway;
mod parameters;
mod quotas;
mod reach;
mod routes;
mod settings;
mod tap;
mod telemetry;
mod tgw;
mod vpc;
mod vpn;
