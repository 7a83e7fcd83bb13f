//! How much memory an established tunnel takes: prints its parts, and ends with status 1 if it is far more than promised.
//!
//! A gateway sets up a thousand tunnels and lives for a minute; then the world is taken apart. What is freed with the tunnels
//! of both ends is theirs, except for the configuration, which a tunnel has whether it is up or not. The AES-GCM contexts of ESP are not in it, because the cipher library allocates them in C: their
//! size is what the process grows by when many are made.

#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "a benchmark prints, and looks at its process"
)]

#[path = "speed/hub.rs"]
mod hub;

use std::process::ExitCode;

use cap::Cap;
use sim_core::crypto::suite::{Encryption, Integrity, Protection, Suite};
use sim_core::node::Node;
use sim_core::proto::ike::config::suite_aes256gcm_group20;
use sim_core::time::Instant;

#[global_allocator]
static ALLOCATOR: Cap<mimalloc::MiMalloc> = Cap::new(mimalloc::MiMalloc, usize::MAX);

/// Octets for each established tunnel, both ends together.
const MOST: usize = 8 * 1024;
/// The promise is not kept yet: to be so far from it is a failure.
const FAILURE: usize = 9 * 1024;
const TUNNELS: u16 = 1_000;
/// A pair of SAs at each end.
const CONTEXTS: usize = 4;

fn main() -> ExitCode {
    let (state, context) = (state(), context());
    let each = state + CONTEXTS * context;
    let verdict = if each <= MOST { "ok" } else { "not kept yet" };
    println!("an established tunnel, both ends, AES-256-GCM, group 20: {each} octets (<= {MOST}) {verdict}");
    println!("    IKE and ESP state {state}, {CONTEXTS} cipher contexts of {context}");
    if each <= FAILURE { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Octets of a tunnel's two ends, without cipher contexts.
fn state() -> usize {
    let mut world = hub::world(1, TUNNELS, &suite_aes256gcm_group20());
    world.start();
    world.run_until(Instant::from_secs(60));
    assert_eq!(hub::up(&world), usize::from(TUNNELS), "all tunnels are up");
    let gateways = world.into_nodes().filter_map(|node| match node {
        Node::Cgw(cgw) => Some(cgw.into_gateway()),
        Node::VpnEndpoint(endpoint) => Some(endpoint.into_gateway()),
        _ => None,
    });
    let tunnels: Vec<_> = gateways.map(|gateway| gateway.tunnels).collect();
    let before = ALLOCATOR.allocated();
    drop(tunnels);
    (before - ALLOCATOR.allocated()) / usize::from(TUNNELS) - 2 * configuration()
}

/// Octets that an end's configuration takes.
fn configuration() -> usize {
    let suite = suite_aes256gcm_group20();
    let before = ALLOCATOR.allocated();
    let config = hub::config(hub::CUSTOMER, hub::CUSTOMER, &suite);
    let taken = ALLOCATOR.allocated() - before;
    drop(config);
    taken
}

/// Octets by which the process grows for each AES-256-GCM context.
fn context() -> usize {
    const MANY: usize = 20_000;
    let suite = Suite::new(Encryption::AesGcm16_256, Integrity::None).expect("an AEAD needs no integrity algorithm");
    let key = [7; 36];
    let make = || {
        let made = Protection::new(suite, &key, &[]);
        // Its first message makes the context.
        made.seal(&mut [0; 8 + 8 + 16], 8);
        made
    };
    let warm = make();
    let mut all = Vec::with_capacity(MANY);
    let (before, in_rust) = (resident(), ALLOCATOR.allocated());
    all.extend((0..MANY).map(|_| make()));
    let (grown, in_rust) = (resident() - before, ALLOCATOR.allocated() - in_rust);
    drop((all, warm));
    // What it holds in Rust is counted with the tunnel.
    grown.saturating_sub(in_rust) / MANY
}

/// Octets of the process that are in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok()).map_or(0, |kib| kib * 1024)
}
