//! The files that are written while a world runs.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::rc::Rc;

use sim_core::time::Duration;
use sim_core::trace::Sink;
use sim_core::trace::pcap::{Capture, FirstError, Tables};
use sim_core::world::World;
use sim_scenarios::report::events::EventLog;

use crate::failure::Failure;
use crate::job::Delivery;
use crate::output::{self, OutputDirectory};

/// Open files, and what went wrong with them. A listener of a world cannot fail, so it is asked afterwards.
#[derive(Default)]
pub struct Taps {
    files: Vec<SharedFile>,
    failed: Vec<FirstError>,
}

impl Taps {
    /// Opens the files that were asked for and hands out the listeners that fill them. The world began so long after 1970.
    pub fn open(
        &mut self,
        world: &World,
        began: Duration,
        out: &OutputDirectory,
        delivery: &Delivery,
    ) -> Result<Vec<Box<dyn Sink>>, Failure> {
        let events = self.create(out, output::EVENTS)?;
        let (log, failed) = EventLog::new(world, events, delivery.packet_records);
        self.failed.push(failed);
        let mut listeners: Vec<Box<dyn Sink>> = vec![Box::new(log)];
        if delivery.captures {
            let mut taken = BTreeSet::new();
            let mut links = Vec::new();
            for (id, _) in world.link_ends() {
                let link = world.link_name(id);
                let mut name = output::capture_name(link);
                if !taken.insert(name.clone()) {
                    // Two links whose names differ only in what a file name cannot hold.
                    name = output::capture_name(&format!("{link}-{}", id.0));
                }
                links.push((id, link.to_owned(), self.create(out, &name)?));
            }
            let tables = Tables {
                ikev2: self.create(out, output::IKEV2_KEYS)?,
                ikev1: self.create(out, output::IKEV1_KEYS)?,
                esp: self.create(out, output::ESP_KEYS)?,
            };
            let (capture, failed) = Capture::new(began, links, tables)
                .map_err(|error| Failure::undeliverable(&out.place("captures"), &error))?;
            self.failed.push(failed);
            listeners.push(Box::new(capture));
        }
        Ok(listeners)
    }

    /// Writes out what is still in memory; a disk that was full at any time shows here.
    pub fn close(self) -> Result<(), Failure> {
        let first = self.failed.iter().find_map(|failed| failed.borrow_mut().take());
        if let Some(error) = first {
            let path = self.files.first().map(|file| file.path.clone()).unwrap_or_default();
            return Err(Failure::undeliverable(path.parent().unwrap_or(&path), &error));
        }
        for mut file in self.files {
            file.flush().map_err(|error| Failure::undeliverable(&file.path, &error))?;
        }
        Ok(())
    }

    fn create(&mut self, out: &OutputDirectory, name: &str) -> Result<SharedFile, Failure> {
        let file = Rc::new(RefCell::new(out.create(name)?));
        let shared = SharedFile { file, path: out.place(name) };
        self.files.push(shared.clone());
        Ok(shared)
    }
}

/// A file that a listener writes and that is flushed, with its errors seen, after the listener is gone.
#[derive(Clone)]
struct SharedFile {
    file: Rc<RefCell<BufWriter<File>>>,
    path: PathBuf,
}

impl Write for SharedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.borrow_mut().flush()
    }
}
