//! How fast the simulator is, against what it stands on: `cargo bench` prints one line for each promise.
//!
//! A *ratio* compares with a reference that is measured in the same run, in rounds that alternate with ours, so that
//! whatever else the machine does meets both alike; the ratio must keep its limit. A line that misses it is measured
//! again when all others are done, twice at most, and then the program ends with status 1. A line that stands at its limit may miss it
//! by a tenth, which is said.
//! A *floor* is in absolute terms and holds for a machine on which sealing and opening 1,400 octets costs about 0.37 us: that
//! time is printed first, and a missed floor is a warning. All times are CPU time of the only thread.
//!
//! `VPNSIM_BENCH_SHORT=1` takes fewer samples; words on the command line choose lines that contain one of them.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a benchmark reads a clock and prints; neither reaches the simulator"
)]

mod bare;
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
    bare::machine(&report);
    loop {
        lines(&mut report);
        if !report.once_more() {
            return report.finish();
        }
    }
}

fn lines(report: &mut meter::Report) {
    engine::hold_model(report);
    engine::world_loop(report);
    journey::sealed(report);
    journey::plain(report);
    handshake::set_ups(report);
    handshake::many(report);
    scale::attachments(report);
    scenario::active_passive(report);
    scenario::told(report);
    crowd::pool(report);
    table::from_the_wire(report);
    table::lookup(report);
    table::reflected(report);
}
