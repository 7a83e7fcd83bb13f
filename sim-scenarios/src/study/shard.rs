//! A study in parts: each machine does every N-th run.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// Part `number` of `of`, counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Debug)]
pub struct Shard {
    number: u32,
    of: u32,
}

impl Shard {
    /// All of it.
    pub const WHOLE: Self = Self { number: 1, of: 1 };

    /// Part `number` of `of`, counted from 1.
    ///
    /// # Errors
    /// If there is no such part.
    pub fn new(number: u32, of: u32) -> Result<Self, String> {
        if of == 0 {
            Err("a study has at least one shard".into())
        } else if (1..=of).contains(&number) {
            Ok(Self { number, of })
        } else {
            Err(format!("shards of {of} are numbered from 1 to {of}, not {number}"))
        }
    }

    /// Its number, from 1.
    pub const fn number(self) -> u32 {
        self.number
    }

    /// Of how many.
    pub const fn of(self) -> u32 {
        self.of
    }

    /// Whether a run is in it.
    pub const fn has(self, run: u64) -> bool {
        run % self.of as u64 == (self.number - 1) as u64
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse().map_err(|_| format!("expected I/N like 3/16, found {text:?}"));
        let (own, of) = text.split_once('/').ok_or("expected I/N like 3/16")?;
        Self::new(number(own)?, number(of)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_is_in_one_shard() {
        for of in 1..=16 {
            let shards: Vec<Shard> = (1..=of).map(|number| Shard::new(number, of).unwrap()).collect();
            for run in 0..100 {
                assert_eq!(shards.iter().filter(|shard| shard.has(run)).count(), 1, "run {run} of {of} shards");
            }
        }
    }

    #[test]
    fn a_shard_reads_as_it_prints() {
        assert_eq!("3/16".parse(), Shard::new(3, 16));
        assert_eq!(Shard::new(3, 16).unwrap().to_string(), "3/16");
        for wrong in ["0/16", "17/16", "1/0", "3", "3/", "a/b", "-1/4", "1/2/3"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
