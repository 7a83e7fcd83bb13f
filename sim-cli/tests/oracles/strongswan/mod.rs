//! strongSwan opposite our IKE and ESP machines, as initiator and as responder, configured by our export alone.
//!
//! [`suites`], [`refusals`], [`rekeys`], [`policies`] and [`ends`] are the tests, and [`native`] those over protocol 50; [`pair`] holds the
//! two ends of a tunnel, [`daemon`] and [`kernel`] are strongSwan's, [`suite`] says what is negotiated.

mod daemon;
mod ends;
mod kernel;
mod native;
mod pair;
mod policies;
mod refusals;
mod rekeys;
mod suite;
mod suites;

pub use daemon::{OURS, OURS_V6, StrongSwan, THEIRS, THEIRS_V6, addresses};
pub use pair::{Initiator, Pair};
pub use suite::Suite;
