//! Studies: one scenario asked many times, over a grid of values, random draws and seeds.

pub mod plot;
pub mod results;
pub mod statistics;
