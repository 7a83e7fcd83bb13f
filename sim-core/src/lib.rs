//! The engine of vpnsim: everything that is true of the network, and nothing that touches the outside.
//!
//! Start reading at [`world`], which owns time, and at [`node`], the only place where protocols meet.
//! No module here reads a file, a clock, the environment or entropy; a world is a function of its description and seed.

pub mod crypto;
mod fetch;
pub mod id;
pub mod net;
pub mod node;
pub mod packet;
pub mod proto;
pub mod reason;
pub mod rng;
pub mod time;
pub mod trace;
pub mod wire;
pub mod world;
