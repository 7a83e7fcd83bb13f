//! Studies: one scenario asked many times, over a grid of values, random draws and seeds.

pub mod results;
