//! Sans-IO protocol machines. No protocol imports another; devices in [`crate::node`] connect them.
//!
//! Every machine has the same shape:
//!
//! - it is constructed from its configuration, its own random stream(s) and the present instant;
//! - inputs (`handle(now, input)`) and time (`handle_timeout(now)`) cannot fail: what a peer sends wrongly becomes an
//!   output that carries a reason, and a spurious `handle_timeout` is a no-op;
//! - after every input the owner drains `poll()` until it returns `None`: one ordered stream of what to send and what
//!   happened. An expired timer is reported before its consequences, a state change before the messages it causes;
//! - `wake()` names the next instant at which `handle_timeout` must be called, and the timer that asks for it;
//! - a machine is a value: `Clone`, no clocks, no shared state between the two ends of a session.

pub mod bfd;
pub mod bgp;
pub mod dns;
pub mod esp;
pub mod ike;
pub mod lacp;
pub mod tcp;
pub mod vrrp;
