//! How fast the simulator is, against what it stands on: `cargo bench` prints one line for each promise.
//!
//! A *ratio* compares with a reference that is measured in the same run, in rounds that alternate with ours, so that
//! whatever else the machine does meets both alike; the ratio must keep its limit, or the program ends with status 1. A line
//! that stands at its limit may miss it by a tenth, which is said.
//! A *floor* is in absolute terms and holds for a machine on which sealing and opening 1,400 octets costs about 0.37 us: that
//! time is printed first, and a missed floor is a warning. All times are CPU time of the only thread.
//!
//! `VPNSIM_BENCH_SHORT=1` takes fewer samples; words on the command line choose lines that contain one of them.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a benchmark reads a clock and prints; neither reaches the simulator"
)]

mod bird;
mod crowd;
mod engine;
mod feed;
mod handshake;
mod hub;
mod journey;
mod meter;
mod reflection;
mod scale;
mod scenario;
mod table;

use std::process::ExitCode;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if bird::fed() || scale::ran() || crowd::ran() {
        return ExitCode::SUCCESS;
    }
    let mut report = meter::Report::new();
    journey::bare(&mut report);
    engine::hold_model(&mut report);
    engine::world_loop(&mut report);
    journey::sealed(&mut report);
    journey::plain(&mut report);
    handshake::set_ups(&mut report);
    handshake::many(&mut report);
    scale::attachments(&mut report);
    scenario::active_passive(&mut report);
    scenario::told(&mut report);
    crowd::pool(&mut report);
    table::from_the_wire(&mut report);
    table::lookup(&mut report);
    table::reflected(&mut report);
    report.finish()
}
