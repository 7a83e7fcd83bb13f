//! What an export could not say, named.

use core::fmt;

use sim_core::time::Duration;

use super::Leg;
use crate::plan::BgpEnd;

/// Something that the scenario says and that a format has no word for, or that its program does differently.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Remark {
    /// The tunnels that it is about.
    pub tunnels: Vec<String>,
    /// The setting with its value, and what becomes of it.
    pub what: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.tunnels.join(", "), self.what)
    }
}

/// Remarks as they come up; those that are the same for several tunnels are one.
#[derive(Default)]
pub(super) struct Remarks(Vec<Remark>);

impl Remarks {
    pub(super) fn add(&mut self, leg: &Leg<'_>, what: impl Into<String>) {
        let (name, what) = (leg.tunnel.name.clone(), what.into());
        match self.0.iter_mut().find(|remark| remark.what == what) {
            Some(remark) if remark.tunnels.contains(&name) => {}
            Some(remark) => remark.tunnels.push(name),
            None => self.0.push(Remark { tunnels: vec![name], what }),
        }
    }

    /// A time in whole seconds, rounded up, because 0 switches things off; with a remark if it is not exact.
    pub(super) fn seconds(&mut self, leg: &Leg<'_>, setting: &str, time: Duration) -> u64 {
        const SECOND: u64 = 1_000_000_000;
        let seconds = time.as_nanos().div_ceil(SECOND);
        if seconds * SECOND != time.as_nanos() {
            self.add(leg, format!("{setting} {time} is written as {seconds}s: whole seconds only"));
        }
        seconds
    }

    /// Policies are written as rules of vpnsim's own; a format has settings alone.
    pub(super) fn policies(&mut self, leg: &Leg<'_>, customer: &BgpEnd) {
        for (setting, named) in [("import_policy", &customer.import), ("export_policy", &customer.export)] {
            if let Some(named) = named {
                self.add(leg, format!("{setting} {}: its rules are not written here", named.name));
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Remark> {
        self.0.iter()
    }

    pub(super) fn into_vec(self) -> Vec<Remark> {
        self.0
    }
}
