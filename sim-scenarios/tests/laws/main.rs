//! The table of laws: each rule of AWS's documents that is simulated is a test that cites it.

mod dx;
