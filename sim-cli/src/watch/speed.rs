//! How fast a run is played.

use std::fmt;
use std::str::FromStr;
use std::time::Duration as Wall;

use sim_core::time::Duration;

/// Simulated time for each second of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// So many thousandths of a second, at least one.
    Times(u64),
    /// As much as this machine can.
    Max,
}

/// What the keys choose among, in thousandths.
const STEPS: [u64; 10] = [100, 250, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000];

impl Speed {
    /// The next of the usual speeds.
    pub fn faster(self) -> Self {
        match self {
            Self::Times(now) => STEPS.into_iter().find(|step| *step > now).map_or(Self::Max, Self::Times),
            Self::Max => Self::Max,
        }
    }

    /// The one before.
    pub fn slower(self) -> Self {
        let now = match self {
            Self::Times(now) => now,
            Self::Max => u64::MAX,
        };
        STEPS.into_iter().rev().find(|step| *step < now).map_or(self, Self::Times)
    }

    /// How much simulated time passes in a time of the wall clock; `None`: without limit.
    pub fn of(self, wall: Wall) -> Option<Duration> {
        match self {
            Self::Times(thousandths) => {
                let nanos = wall.as_nanos() * u128::from(thousandths) / 1_000;
                Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
            }
            Self::Max => None,
        }
    }

    /// How much time of the wall clock a simulated time takes; `None`: none.
    pub fn wall(self, simulated: Duration) -> Option<Wall> {
        match self {
            Self::Times(thousandths) => {
                let nanos = u128::from(simulated.as_nanos()) * 1_000 / u128::from(thousandths.max(1));
                Some(Wall::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
            }
            Self::Max => None,
        }
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Max => f.write_str("max"),
            Self::Times(thousandths) if thousandths % 1_000 == 0 => write!(f, "{}x", thousandths / 1_000),
            Self::Times(thousandths) => {
                let text = format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000);
                write!(f, "{}x", text.trim_end_matches('0'))
            }
        }
    }
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected max, or how many times as fast as the clock, like 10x or 0.5x; not {text:?}");
        if text.eq_ignore_ascii_case("max") {
            return Ok(Self::Max);
        }
        let number = text.strip_suffix(['x', 'X']).unwrap_or(text);
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || part.len() > 3 || !digits(whole) || !digits(part) {
            return Err(wrong());
        }
        let thousandths = format!("{whole}{part:0<3}").parse::<u64>().map_err(|_| wrong())?;
        // Beyond that, an hour passes in a frame.
        if (1..=100_000_000).contains(&thousandths) { Ok(Self::Times(thousandths)) } else { Err(wrong()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_and_shown() {
        for (text, speed, shown) in [
            ("1x", Speed::Times(1_000), "1x"),
            ("10", Speed::Times(10_000), "10x"),
            ("0.5x", Speed::Times(500), "0.5x"),
            ("0.001X", Speed::Times(1), "0.001x"),
            ("MAX", Speed::Max, "max"),
        ] {
            assert_eq!(text.parse(), Ok(speed), "{text}");
            assert_eq!(speed.to_string(), shown);
        }
        for text in ["", "x", "0x", "-1x", "1.2345", "fast", "1e3", ".5", "100001x", "99999999999999999999x"] {
            assert!(text.parse::<Speed>().unwrap_err().contains("like 10x"), "{text}");
        }
    }

    #[test]
    fn the_keys_walk_the_usual_speeds() {
        let mut speed = Speed::Times(100);
        let mut seen = vec![speed.to_string()];
        while speed != Speed::Max {
            speed = speed.faster();
            seen.push(speed.to_string());
        }
        assert_eq!(seen.join(" "), "0.1x 0.25x 0.5x 1x 2x 5x 10x 20x 50x 100x max");
        assert_eq!(Speed::Max.faster(), Speed::Max);
        assert_eq!(Speed::Max.slower(), Speed::Times(100_000));
        assert_eq!(Speed::Times(100).slower(), Speed::Times(100), "there is nothing slower");
        assert_eq!(Speed::Times(3_000).slower(), Speed::Times(2_000), "one that was typed need not be usual");
    }

    #[test]
    fn the_two_clocks_agree() {
        let tenfold = Speed::Times(10_000);
        assert_eq!(tenfold.of(Wall::from_millis(40)), Some(Duration::from_millis(400)));
        assert_eq!(tenfold.wall(Duration::from_millis(400)), Some(Wall::from_millis(40)));
        assert_eq!(Speed::Max.of(Wall::from_millis(40)), None);
        assert_eq!(Speed::Max.wall(Duration::from_secs(9)), None);
    }
}
