//! BGP sessions, below and beside their timers.

use schemars::JsonSchema;
use serde::Deserialize;
use sim_core::proto::bgp::AfterLimit;

use crate::leaf::{Count, Flag, Percent, Span};
use crate::place::At;

/// How many prefixes the other end may announce (RFC 4271 section 6.7).
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct MaxPrefixes {
    /// Most that are taken: one more ends the session with Cease 6/1 (RFC 4486).
    pub most: At<Count>,
    /// From how many on the operator is warned, in percent of `most`; 75% if not given.
    pub warn_at: Option<At<Percent>>,
    /// What follows: "retry" (if not given: another attempt, as after any failure), "stay_down", or after how long another attempt
    /// is made, like "60s".
    pub then: Option<At<AfterLimit>>,
}

/// Graceful restart of a BGP session.
#[derive(Deserialize, JsonSchema, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub struct GracefulRestart {
    /// How long the other end is asked to wait for this one; 120s if not given.
    pub restart_time: Option<At<Span>>,
    /// How long the other end's stale routes are kept at most; 360s if not given.
    pub stale_path_time: Option<At<Span>>,
    /// Whether an expired hold timer or a NOTIFICATION leaves routes stale, too (RFC 8538); false if not given.
    pub notification: Option<At<Flag>>,
}
