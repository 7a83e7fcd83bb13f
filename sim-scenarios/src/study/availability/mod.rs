//! Minutes dark in a year, from how often things fail and how long their repair takes.
//!
//! **What is simulated, packet by packet.** Each component of the drawing to which a rate is given fails once in each of several
//! runs ([`crate::breakage`]), at moments that are spread over the timers' periods. That measures how long the probe is dark
//! when the component fails, and when it is repaired: seconds, if something else takes over, or until the repair and some time
//! beyond.
//!
//! **What is computed from it.** A component works for an exponential time with the mean `mtbf` and is then repaired for a time
//! with the mean `mttr`, independently of all others; what fails together is drawn as a group or a zone and has a rate of its
//! own. A failure that takes `r` to repair costs
//!
//! ```text
//!   r + back                          if the probe waits for the repair
//!   min(r, d)  and, if r > d,  + a    if something takes over after d; a is what the way back costs
//! ```
//!
//! The expected minutes of a year are the sum over components of failures a year times the expectation of that, in closed form
//! for each law of repair, and over pairs without a spare, if they are asked for, 525,960 minutes times the product of both
//! unavailabilities. Three at once are not counted. A year itself is drawn many times: failures as they come, their darkness
//! united where it overlaps, cut into twelve months of 730.5 hours.
//!
//! **Two kinds of doubt**, which are kept apart. The expectation has an interval for what is not known: how long a failover takes
//! (its mean over the runs, by Student's t) and, where it is said how many failures an `mtbf` was estimated from, that number
//! (the rate is then drawn from the gamma distribution with so many events, as the likelihood of a Poisson process has it). That
//! is a parametric bootstrap of [`DRAWS`] draws. The years have a spread even if everything is known, because failures are rare.
//!
//! **What AWS counts.** Its service level agreement (<https://aws.amazon.com/vpn/site-to-site-vpn-sla/>, last updated 2022-05-05)
//! promises a Monthly Uptime Percentage of 99.95 % for each connection; a connection is unavailable while both of AWS's endpoints
//! have no connectivity. So a customer gateway, an internet line or the failover itself never count, and one endpoint alone does
//! not either, also if only one tunnel was configured. [`Year::aws`] counts the minutes in which both endpoints of a connection
//! are out of order, [`Year::dark`] those in which the probe is dark; each is set against the same 99.95 %.

mod intervals;
mod law;
pub mod make;
mod measure;
pub mod price;
pub mod report;
pub mod schema;
mod years;

use crate::scenario::Scenario;

pub use law::{Rate, Repair};
pub use measure::{Dark, Effect, Measured, PairEffect, measure};
pub use years::{Answer, Contribution, DRAWS, Year, answer};

/// Minutes of a year of 365.25 days.
pub const YEAR: f64 = 525_960.0;
/// Months of a year, all of the same length.
pub const MONTHS: usize = 12;
/// The share of a month that AWS promises, in percent.
pub const PROMISE: f64 = 99.95;

/// The question.
#[derive(Clone, Debug)]
pub struct Availability {
    /// Its name.
    pub name: String,
    /// What is asked, for people.
    pub question: String,
    /// The designs that are compared.
    pub designs: Vec<Design>,
    /// How often what fails: by the name of a component, or else by its kind.
    pub rates: Vec<(String, Rate)>,
    /// Whether pairs of failures are simulated, too.
    pub pairs: bool,
    /// Runs in which each component fails once.
    pub runs: u64,
    /// Years that are drawn.
    pub years: u64,
    /// Of all draws.
    pub seed: u64,
}

/// A design.
#[derive(Clone, Debug)]
pub struct Design {
    /// Its name.
    pub name: String,
    /// Its drawing.
    pub scenario: Scenario,
    /// The probe that must not be dark; an index into the plan's.
    pub probe: usize,
    /// What is paid for, and how many of it.
    pub items: Vec<(String, f64)>,
}

/// Asks it, on so many threads; the answer does not depend on how many those are. `done` hears each design that is measured.
pub fn ask(question: &Availability, threads: usize, done: &mut dyn FnMut(&str)) -> Vec<Answer> {
    let mut answers = Vec::new();
    for design in &question.designs {
        let measured = measure(question, design, threads);
        answers.push(answer(question, design, &measured));
        done(&design.name);
    }
    answers
}
