//! How much memory an established tunnel takes, and a route: prints them, and ends with status 1 if one is far more than
//! promised.
//!
//! A gateway sets up a thousand tunnels and lives for a minute; then the world is taken apart. What is freed with the tunnels
//! of both ends is theirs, except for the configuration, which a tunnel has whether it is up or not. The AES-GCM contexts of ESP are not in it, because the cipher library allocates them in C: their
//! size is what the process grows by when many are made.

#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "a benchmark prints, and looks at its process"
)]

#[path = "speed/feed.rs"]
mod feed;
#[path = "speed/hub.rs"]
mod hub;
#[path = "speed/reflection.rs"]
#[allow(dead_code, reason = "what both simulations chose is compared where their speed is")]
mod reflection;

use std::process::ExitCode;

use cap::Cap;
use feed::{Router, Shape};
use reflection::{EXTERNAL_PEERS, Mesh, PREFIXES, Plan, ROUTERS};
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
    let kept = [routes(Shape::Dense, "dense /24s", 100), routes(Shape::Shuffled, "shuffled", 200), reflected(500)];
    match tunnels() && kept == [true; 3] {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Octets of each of a million routes of one peer, in Adj-RIB-In, Loc-RIB and forwarding table together. Says whether they are at
/// most so many, whether a message announces many routes or few.
fn routes(shape: Shape, name: &str, most: usize) -> bool {
    const ROUTES: usize = 1_000_000;
    let prefixes = feed::prefixes(shape, ROUTES);
    let octets = |each| {
        let stream = feed::updates(&prefixes, each);
        let before = ALLOCATOR.allocated();
        let mut router = Router::established();
        router.receive(&stream);
        let taken = ALLOCATOR.allocated() - before;
        assert_eq!(router.fib().len(), ROUTES, "every route is installed");
        taken / ROUTES
    };
    let (many, few) = (octets(900), octets(4));
    let kept = many.max(few) <= most;
    let verdict = if kept { "ok" } else { "TOO MUCH" };
    println!("a route of a million, {name}, 900 and 4 a message: {many} and {few} octets (<= {most}) {verdict}");
    kept
}

/// Octets for each router and prefix of an AS with route reflectors, all connections and tables together, and the same of the
/// simulator beside it. Says whether they are at most so many.
fn reflected(most: usize) -> bool {
    let plan = Plan::new();
    let pairs = (ROUTERS + EXTERNAL_PEERS) * PREFIXES as usize;
    let before = ALLOCATOR.allocated();
    let mut mesh = Mesh::new(&plan);
    mesh.settle(&plan);
    let ours = (ALLOCATOR.allocated() - before) / pairs;
    drop(mesh);
    let before = ALLOCATOR.allocated();
    let mut net = reflection::reference(&plan);
    reflection::settle_reference(&mut net);
    let reference = (ALLOCATOR.allocated() - before) / pairs;
    let verdict = if ours <= most { "ok" } else { "TOO MUCH" };
    println!("Cogentco, 3 reflectors, each of 199 routers and 1000 prefixes: {ours} octets (<= {most}) {verdict}");
    println!("    bgpsim {reference}");
    ours <= most
}

/// Prints what a tunnel takes. False if it is far more than promised.
fn tunnels() -> bool {
    let (state, context) = (state(), context());
    let each = state + CONTEXTS * context;
    let verdict = if each <= MOST { "ok" } else { "not kept yet" };
    println!("an established tunnel, both ends, AES-256-GCM, group 20: {each} octets (<= {MOST}) {verdict}");
    println!("    IKE and ESP state {state}, {CONTEXTS} cipher contexts of {context}");
    each <= FAILURE
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
