//! The runs of a study as lines of text that survive whatever happens to their writer.
//!
//! ```text
//!   0f3a... Begin(study:"hold",identity:"9c1e...",shard:(number:1,of:1))
//!   7be1... Run((run:0,point:[Number(10.0)],seed:...,digest:Some("..."),failure:None,metrics:[Some(9.7)]))
//!   ...
//!   c03d... End(runs:400)                     a part that is whole
//! ```
//!
//! Each line begins with the xxh3-64 of the rest. A writer that is killed leaves at most a torn last line, which nobody believes and
//! whose run is done again. The order of runs in a log is that in which they ended; in a part it is that of their numbers.

use core::fmt::Write as _;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use super::Study;
use super::results::Row;
use super::shard::Shard;

/// A line of a log.
#[derive(Serialize, Deserialize)]
enum Line {
    Begin { study: String, identity: String, shard: Shard },
    Run(Row),
    End { runs: u64 },
}

/// What a log says.
#[derive(Clone, PartialEq, Debug)]
pub struct Log {
    /// Name of the study.
    pub study: String,
    /// [`Study::identity`], as hexadecimal digits.
    pub identity: String,
    /// Which part of the study it has.
    pub shard: Shard,
    /// The runs, by their numbers.
    pub rows: BTreeMap<u64, Row>,
    /// Whether it says that this is all.
    pub whole: bool,
    /// Lines that are damaged and were not believed, the last one not among them if it is torn.
    pub damaged: u64,
    /// Octets up to the end of the last whole line: what follows is torn.
    pub sound: usize,
}

fn sealed(line: &Line) -> String {
    let text = ron::to_string(line).expect("rows have finite numbers and texts");
    format!("{:016x} {text}\n", XxHash3_64::oneshot(text.as_bytes()))
}

fn opened(line: &str) -> Option<Line> {
    let (seal, text) = line.strip_suffix('\n')?.split_once(' ')?;
    let known = u64::from_str_radix(seal, 16).ok()? == XxHash3_64::oneshot(text.as_bytes());
    if known { ron::from_str(text).ok() } else { None }
}

/// The first line of a log of a study.
pub fn begin(study: &Study, shard: Shard) -> String {
    sealed(&Line::Begin { study: study.name().to_owned(), identity: format!("{:032x}", study.identity()), shard })
}

/// A run's line.
pub fn run(row: &Row) -> String {
    sealed(&Line::Run(row.clone()))
}

/// A part: all runs of a shard in order, and that these are all.
pub fn part(study: &Study, shard: Shard, rows: &BTreeMap<u64, Row>) -> String {
    let mut text = begin(study, shard);
    for row in rows.values() {
        let _ = write!(text, "{}", run(row));
    }
    text + &sealed(&Line::End { runs: rows.len() as u64 })
}

/// Reads a log, or as much of it as can be believed.
///
/// # Errors
/// If it does not begin like one.
pub fn read(octets: &[u8]) -> Result<Log, String> {
    let mut lines = octets.split_inclusive(|octet| *octet == b'\n').map(|line| (line.len(), str::from_utf8(line)));
    let first = lines.next().and_then(|(length, line)| Some((length, opened(line.ok()?)?)));
    let Some((length, Line::Begin { study, identity, shard })) = first else {
        return Err("does not begin like the runs of a study".into());
    };
    let shard = Shard::new(shard.number(), shard.of())?;
    let mut log = Log { study, identity, shard, rows: BTreeMap::new(), whole: false, damaged: 0, sound: length };
    let mut torn = 0;
    for (length, line) in lines {
        torn += length;
        let Ok(line) = line else {
            log.damaged += 1;
            continue;
        };
        match opened(line) {
            Some(Line::Run(row)) => {
                log.rows.insert(row.run, row);
            }
            Some(Line::End { runs }) => log.whole = log.rows.len() as u64 == runs,
            Some(Line::Begin { .. }) | None => {
                log.damaged += u64::from(line.ends_with('\n'));
            }
        }
        if line.ends_with('\n') {
            log.sound += torn;
            torn = 0;
        }
    }
    Ok(log)
}

/// Whether a log belongs to this study.
///
/// # Errors
/// In which it differs, to be read behind the name of its file.
pub fn belongs(log: &Log, study: &Study) -> Result<(), String> {
    if log.identity == format!("{:032x}", study.identity()) {
        Ok(())
    } else if log.study == study.name() {
        Err(format!(
            "has runs of study `{}` as another text, other scenarios or another version of vpnsim had it",
            log.study
        ))
    } else {
        Err(format!("has runs of another study, `{}`", log.study))
    }
}

/// Puts parts together, each with the name by which complaints call it.
///
/// # Errors
/// If they are not this study's, not whole, overlap, or are not all.
pub fn merge(study: &Study, parts: Vec<(String, Log)>) -> Result<BTreeMap<u64, Row>, String> {
    let mut of: Option<(u32, String)> = None;
    let mut seen: BTreeMap<u32, String> = BTreeMap::new();
    let mut all = BTreeMap::new();
    for (name, part) in parts {
        belongs(&part, study).map_err(|why| format!("{name} {why}"))?;
        if !part.whole || part.damaged > 0 {
            return Err(format!("{name} is not whole: it was cut off or damaged"));
        }
        let shard = part.shard;
        match &of {
            None => of = Some((shard.of(), name.clone())),
            Some((n, first)) if *n != shard.of() => {
                return Err(format!("{name} is shard {shard}, but {first} is one of {n}"));
            }
            Some(_) => {}
        }
        if let Some(other) = seen.insert(shard.number(), name.clone()) {
            return Err(format!("{name} and {other} overlap: both are shard {shard}"));
        }
        let expected: BTreeSet<u64> = study.next(&BTreeMap::new(), shard).into_iter().collect();
        if !part.rows.keys().eq(expected.iter()) {
            return Err(format!("{name} does not have the runs of shard {shard}"));
        }
        all.extend(part.rows);
    }
    let Some((of, _)) = of else { return Err("there are no parts".into()) };
    let missing: Vec<String> = (1..=of).filter(|n| !seen.contains_key(n)).map(|n| format!("{n}/{of}")).collect();
    if missing.is_empty() { Ok(all) } else { Err(format!("shards are missing: {}", missing.join(", "))) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::results::Value;
    use super::*;

    fn row(run: u64, x: f64) -> Row {
        Row {
            run,
            point: vec![Value::Number(x), Value::Text("a \"b\"\nc".into())],
            seed: u64::MAX,
            digest: Some("00ff".into()),
            failure: (run % 2 == 1).then(|| "it\nbroke \\".into()),
            metrics: vec![Some(x), None],
        }
    }

    fn text(rows: &[Row]) -> String {
        let identity = "00".to_owned();
        let begin = sealed(&Line::Begin { study: "s".into(), identity, shard: Shard::WHOLE });
        rows.iter().fold(begin, |text, row| text + &run(row))
    }

    proptest! {
        /// Exactly, whatever the number; and each run is one line.
        #[test]
        fn rows_read_as_they_were_written(x in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO) {
            let rows = [row(0, x), row(1, x)];
            let text = text(&rows);
            prop_assert_eq!(text.lines().count(), 3);
            let log = read(text.as_bytes()).unwrap();
            prop_assert!(log.rows.values().eq(&rows));
            prop_assert_eq!((log.sound, log.damaged), (text.len(), 0));
        }

        /// A writer may be killed at any octet.
        #[test]
        fn a_torn_line_is_not_believed_and_the_others_are(cut in 0usize..10_000) {
            let rows: Vec<Row> = (0..5).map(|n| row(n, 0.1)).collect();
            let text = text(&rows);
            let cut = cut % (text.len() + 1);
            let kept = &text.as_bytes()[..cut];
            let whole_lines = text[..cut].matches('\n').count();
            match read(kept) {
                Err(_) => prop_assert_eq!(whole_lines, 0),
                Ok(log) => {
                    prop_assert!(log.rows.values().eq(&rows[..whole_lines - 1]));
                    prop_assert_eq!(log.sound, text[..cut].rfind('\n').unwrap() + 1);
                    prop_assert_eq!(log.damaged, 0);
                }
            }
        }

        /// A damaged octet costs its line at most; nothing that was not written is believed.
        #[test]
        fn a_damaged_line_is_not_believed(at in 0usize..10_000, octet: u8) {
            let rows: Vec<Row> = (0..5).map(|n| row(n, 0.1)).collect();
            let mut octets = text(&rows).into_bytes();
            let at = at % octets.len();
            octets[at] = octet;
            if let Ok(log) = read(&octets) {
                prop_assert!(log.rows.values().all(|row| rows.contains(row)));
                prop_assert!(log.rows.len() >= 3, "at most two lines, if they were joined");
            }
        }
    }
}
