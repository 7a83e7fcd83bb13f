//! A million routes from wire octets into a forwarding table, BIRD beside us with the same octets; looking them up; and an AS
//! with route reflectors beside a simulator without octets.

use std::hint::black_box;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use prefix_trie::PrefixMap;
use sim_core::id::Port;
use sim_core::net::fib::{Fib, Target};
use sim_core::rng::{Purpose, Rng};

use crate::bird::Bird;
use crate::feed::{self, Router, Shape};
use crate::meter::{Limit, Report, cpu_ns, undisturbed, user_ns};
use crate::reflection::{Mesh, Plan, reference, settle_reference, ways_of_reference};

/// Routes of the table.
const ROUTES: usize = 1_000_000;
/// What our rate has to be of BIRD's.
const LEAST: f64 = 0.6;
/// Lookups of a round.
const LOOKUPS: u64 = 100_000;

/// One session, a million prefixes through Adj-RIB-In and the best path to an installed route, against BIRD, which gets
/// as far as its own table: no kernel is told. Both costs are user time.
pub fn from_the_wire(report: &mut Report) {
    for (shape, name) in [(Shape::Dense, "dense /24s"), (Shape::Shuffled, "shuffled")] {
        for each in [900, 4] {
            let line = format!("1000000 routes {name}, {each} a message, BIRD");
            if !report.wants(&line) {
                continue;
            }
            let stream = feed::updates(&feed::prefixes(shape, ROUTES), each);
            let mut costs = [Vec::new(), Vec::new()];
            for _ in 0..report.samples(10, 3) {
                costs[0].push(ours(&stream));
                match Bird::user_ns(&stream, ROUTES) {
                    Ok(cost) => costs[1].push(cost / ROUTES as f64),
                    Err(why) => return report.lacking(&line, &why),
                }
            }
            // The clock of a process ticks a hundred times a second, so no single run is worth much.
            let [ours, bird] = costs.map(|costs| costs.iter().sum::<f64>() / costs.len() as f64);
            match (shape, each) {
                (Shape::Shuffled, 900) => report.narrow(&line, Limit::Rate(LEAST), ours, bird),
                _ => report.ratio(&line, Limit::Rate(LEAST), ours, bird),
            }
        }
    }
}

fn ours(stream: &[u8]) -> f64 {
    let mut router = Router::established();
    let began = user_ns();
    router.receive(stream);
    let cost = (user_ns() - began) as f64 / ROUTES as f64;
    assert_eq!(router.fib().len(), ROUTES, "every route is installed");
    cost
}

/// Finding the best route for addresses that somebody announced, against the trie alone, which answers where packets go and
/// nothing of who said so and when.
pub fn lookup(report: &mut Report) {
    let line = "lookup among 1000000 routes, against the trie alone";
    if !report.wants(line) {
        return;
    }
    let prefixes = feed::prefixes(Shape::Shuffled, ROUTES);
    let mut router = Router::established();
    router.receive(&feed::updates(&prefixes, 900));
    let fib = router.fib();
    let target = |n: usize| Target::via(Port(1), Ipv4Addr::from(n as u32));
    let trie: PrefixMap<Ipv4Net, Target> = (0..).map(target).zip(&prefixes).map(|(to, net)| (*net, to)).collect();
    let mut rng = Rng::stream(2, "lookup", Purpose::Test);
    let addresses: Vec<Ipv4Net> = (0..LOOKUPS)
        .map(|_| {
            let within = prefixes[rng.below(ROUTES as u64) as usize];
            let host = rng.below(1 << (32 - within.prefix_len())) as u32;
            Ipv4Net::from(Ipv4Addr::from(u32::from(within.network()) | host))
        })
        .collect();
    let rounds = report.samples(101, 31);
    report.compare(line, Limit::Cost(2.0), rounds, &mut || with_fib(fib, &addresses), &mut || {
        for address in &addresses {
            // The answer itself and not a reference to it: to read it is the last of the memory accesses of either.
            black_box(trie.get_lpm(address).map(|(_, target)| *target));
        }
        LOOKUPS
    });
}

fn with_fib(fib: &Fib, addresses: &[Ipv4Net]) -> u64 {
    for address in addresses {
        black_box(fib.lookup(address.addr()));
    }
    LOOKUPS
}

/// CPU time of both simulations of an AS until they are settled, after which both must have made the same choices.
pub fn reflected(report: &mut Report) {
    let line = "Cogentco, 3 reflectors, 1000 prefixes, bgpsim";
    if !report.wants(line) {
        return;
    }
    let plan = Plan::new();
    let mut costs = [Vec::new(), Vec::new()];
    for _ in 0..report.samples(10, 3) {
        let mut mesh = Mesh::new(&plan);
        let began = cpu_ns();
        mesh.settle(&plan);
        costs[0].push((cpu_ns() - began) as f64);
        let mut net = reference(&plan);
        let began = cpu_ns();
        settle_reference(&mut net);
        costs[1].push((cpu_ns() - began) as f64);
        assert!(mesh.ways() == ways_of_reference(&net, &plan), "both simulations end with the same routes");
    }
    let [ours, reference] = costs.map(undisturbed);
    report.ratio(line, Limit::Cost(1.0), ours, reference);
}
