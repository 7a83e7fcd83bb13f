//! The directory of a study: a log that grows line by line, and files that are there whole or not at all.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};

use sim_scenarios::study::log::{self, Log};
use sim_scenarios::study::results::{Results, Row};
use sim_scenarios::study::shard::Shard;
use sim_scenarios::study::{Study, table};

use crate::failure::Failure;

/// Extension of logs.
const LOG: &str = "log";
/// Extension of parts.
const PART: &str = "part";
/// One row a run.
const CSV: &str = "runs.csv";
/// The same as Apache Parquet.
const PARQUET: &str = "runs.parquet";
/// What was asked.
const ASKED: &str = "study.json";

/// Keeps the runs of a study, or of a shard of it.
#[derive(Debug)]
pub struct Keeper {
    directory: PathBuf,
    path: PathBuf,
    file: File,
    log: Log,
    torn: bool,
}

impl Keeper {
    /// Opens the log of a study in a directory, which is made if it is not there.
    pub fn open(directory: &Path, study: &Study, shard: Shard) -> Result<Self, Failure> {
        fs::create_dir_all(directory).map_err(|error| Failure::undeliverable(directory, &error))?;
        refuse_others(directory, study)?;
        let path = directory.join(format!("{}.{LOG}", stem(shard)));
        if shard == Shard::WHOLE && !path.exists() {
            refuse_unaccounted(directory)?;
        }
        let failed = |error| Failure::undeliverable(&path, &error);
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path).map_err(failed)?;
        // Where a file system knows no locks, whoever starts two at once must take care himself.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(Failure::Study {
                what: format!("another vpnsim is writing {}", path.display()),
                help: Some("wait for it, or choose another directory".into()),
            });
        }
        let mut octets = Vec::new();
        file.read_to_end(&mut octets).map_err(failed)?;
        // Nobody was ever told of a run in a log whose very first line is torn.
        if !octets.contains(&b'\n') {
            file.set_len(0).map_err(failed)?;
            octets = log::begin(study, shard).into_bytes();
            file.write_all(&octets).map_err(failed)?;
        }
        let log = log::read(&octets).map_err(|why| refusal(&path, &why))?;
        log::belongs(&log, study).map_err(|why| refusal(&path, &why))?;
        if log.shard != shard {
            return Err(refusal(&path, &format!("has runs of shard {}", log.shard)));
        }
        let torn = log.sound < octets.len();
        if torn {
            file.set_len(log.sound as u64).map_err(failed)?;
        }
        Ok(Self { directory: directory.to_owned(), path, file, log, torn })
    }

    /// Puts a log that is complete in the place of the one that a directory has, if it has one.
    pub fn replace(directory: &Path, study: &Study, text: &str) -> Result<(), Failure> {
        drop(Self::open(directory, study, Shard::WHOLE)?);
        write(&directory.join(format!("{}.{LOG}", stem(Shard::WHOLE))), text.as_bytes())
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The runs that were there.
    pub fn rows(&self) -> BTreeMap<u64, Row> {
        self.log.rows.clone()
    }

    /// What was not believed, if anything.
    pub fn damaged(&self) -> Option<String> {
        let path = self.path.display();
        match (self.log.damaged, self.torn) {
            (0, false) => None,
            (0, true) => Some(format!("the last line of {path} was torn: its run is done again")),
            (n, _) => Some(format!("{n} lines of {path} are damaged: their runs are done again")),
        }
    }

    /// Appends a run. One call of the system, so that threads do not mix their lines, and so that a run is kept or is not there.
    pub fn keep(&self, row: &Row) -> Result<(), Failure> {
        let mut file = &self.file;
        file.write_all(log::run(row).as_bytes()).map_err(|error| Failure::undeliverable(&self.path, &error))
    }

    /// Writes the part that its runs are, and returns where that is.
    pub fn part(&self, text: &str) -> Result<PathBuf, Failure> {
        let place = self.directory.join(format!("{}.{PART}", stem(self.log.shard)));
        write(&place, text.as_bytes())?;
        Ok(place)
    }
}

fn stem(shard: Shard) -> String {
    match shard {
        Shard::WHOLE => "runs".into(),
        shard => format!("shard-{}-of-{}", shard.number(), shard.of()),
    }
}

fn refusal(path: &Path, why: &str) -> Failure {
    let help = "choose a new directory; vpnsim deletes no runs";
    Failure::Study { what: format!("{} {why}", path.display()), help: Some(help.into()) }
}

/// The files in a directory with one of these extensions, by name.
fn files(directory: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, Failure> {
    let entries = fs::read_dir(directory).map_err(|error| Failure::unreadable(directory, &error))?;
    let ours = |path: &PathBuf| path.extension().and_then(OsStr::to_str).is_some_and(|end| extensions.contains(&end));
    let mut found: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(ours).collect();
    found.sort();
    Ok(found)
}

/// Refuses a directory in which another study is kept. Files that do not begin like a log are none of ours.
fn refuse_others(directory: &Path, study: &Study) -> Result<(), Failure> {
    for path in files(directory, &[LOG, PART])? {
        let mut first = Vec::new();
        let read = File::open(&path).and_then(|file| BufReader::new(file).read_until(b'\n', &mut first));
        read.map_err(|error| Failure::unreadable(&path, &error))?;
        if let Ok(log) = log::read(&first) {
            log::belongs(&log, study).map_err(|why| refusal(&path, &why))?;
        }
    }
    Ok(())
}

/// Refuses to write over tables of which no log tells where they are from.
fn refuse_unaccounted(directory: &Path) -> Result<(), Failure> {
    match [CSV, PARQUET, ASKED].iter().map(|name| directory.join(name)).find(|path| path.exists()) {
        None => Ok(()),
        Some(path) => Err(refusal(&path, "is there without the log of its runs")),
    }
}

/// The parts that are meant: a file, or those in a directory.
pub fn parts(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let found = files(path, &[PART])?;
    if found.is_empty() {
        let what = format!("there are no parts in {}", path.display());
        let help = "`vpnsim study FILE --shard I/N --out DIR` writes one when all its runs are done";
        return Err(Failure::Study { what, help: Some(help.into()) });
    }
    Ok(found)
}

/// Writes the tables.
pub fn deliver(directory: &Path, study: &Study, results: &Results) -> Result<(), Failure> {
    let parquet = table::parquet(results);
    let parquet = parquet.map_err(|error| refusal(&directory.join(PARQUET), &format!("cannot be made: {error}")))?;
    write(&directory.join(CSV), &table::csv(results))?;
    write(&directory.join(PARQUET), &parquet)?;
    write(&directory.join(ASKED), study.asked(results).to_json().as_bytes())
}

/// Writes a file whole: into a neighbour that takes its place. A neighbour that a killed process left behind is written over.
pub fn write(path: &Path, octets: &[u8]) -> Result<(), Failure> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = path.with_file_name(name);
    let written = File::create(&partial).and_then(|mut file| {
        file.write_all(octets)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&partial, path)).map_err(|error| Failure::undeliverable(path, &error))
}
