//! One difference between two answers: what it is about, what it was, what it is, and by how much.

use core::fmt;

use schemars::JsonSchema;
use serde::Serialize;
use sim_core::time::Duration;

use crate::report::model::{Milliseconds, Seconds};

/// What a difference is about, the most telling first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// An expectation that holds where it failed, or the other way around.
    Expectation,
    /// How long a direction of a probe stream was dark, and because of what.
    Outage,
    /// What the way from a fault to recovered traffic waited for.
    Wait,
    /// How long routes kept changing.
    Route,
    /// A protocol session: when it came up, what took it down, where it ended.
    Session,
    /// Dropped packets.
    Drop,
    /// What the flows of an application came to.
    Application,
    /// Which ways flows took.
    Ecmp,
    /// What an alarm did.
    Alarm,
    /// Settings of two ends that do not fit.
    Misconfiguration,
    /// Loss and delay of a probe stream.
    Probe,
    /// When and where a fault struck.
    Fault,
    /// What was found for an expectation whose verdict is as it was.
    Finding,
    /// What the answer assumes.
    Assumption,
    /// What a device's profile set.
    Profile,
    /// How long the world lived.
    World,
}

impl About {
    /// One of them in words, or several.
    pub fn words(self, several: bool) -> &'static str {
        let (one, many) = match self {
            Self::Expectation => ("expectation", "expectations"),
            Self::Outage => ("outage", "outages"),
            Self::Wait => ("wait", "waits"),
            Self::Route => ("route", "routes"),
            Self::Session => ("session value", "session values"),
            Self::Drop => ("drop count", "drop counts"),
            Self::Application => ("application value", "application values"),
            Self::Ecmp => ("flow count", "flow counts"),
            Self::Alarm => ("alarm", "alarms"),
            Self::Misconfiguration => ("misconfiguration", "misconfigurations"),
            Self::Probe => ("probe value", "probe values"),
            Self::Fault => ("fault", "faults"),
            Self::Finding => ("finding", "findings"),
            Self::Assumption => ("assumption", "assumptions"),
            Self::Profile => ("profile setting", "profile settings"),
            Self::World => ("length of the run", "lengths of the run"),
        };
        if several { many } else { one }
    }
}

/// Something that was measured or said. In the document a number, of seconds, packets and the like, or a text.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Amount {
    /// An instant or a time.
    Time(Seconds),
    /// A number of things.
    Count(u64),
    /// A part of a whole, from 0 to 1.
    Share(f64),
    /// Anything that is no number.
    Words(String),
}

/// A difference.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Change {
    /// What it is about.
    pub about: About,
    /// What is otherwise.
    pub what: String,
    /// What it was; null if it is new.
    pub was: Option<Amount>,
    /// What it is; null if it is gone.
    pub is: Option<Amount>,
}

impl From<Seconds> for Amount {
    fn from(seconds: Seconds) -> Self {
        Self::Time(seconds)
    }
}

impl From<Milliseconds> for Amount {
    fn from(millis: Milliseconds) -> Self {
        Self::Time(Seconds(millis.0))
    }
}

impl From<u64> for Amount {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<&str> for Amount {
    fn from(words: &str) -> Self {
        Self::Words(words.to_owned())
    }
}

impl From<&String> for Amount {
    fn from(words: &String) -> Self {
        Self::Words(words.clone())
    }
}

impl From<String> for Amount {
    fn from(words: String) -> Self {
        Self::Words(words)
    }
}

impl Amount {
    /// An instant, or `otherwise` if it never came.
    pub(super) fn or(seconds: Option<Seconds>, otherwise: &str) -> Self {
        seconds.map_or_else(|| otherwise.into(), Into::into)
    }

    /// To the millisecond, the packet, the thousandth of a percent; `fine` is as it is.
    fn text(&self, fine: bool) -> String {
        match self {
            Self::Time(seconds) if fine => exact(seconds.0.as_nanos()),
            Self::Time(seconds) => seconds.to_string(),
            Self::Count(count) => count.to_string(),
            Self::Share(share) if fine => format!("{} %", share * 100.0),
            Self::Share(share) => format!("{:.3} %", share * 100.0),
            Self::Words(words) => words.clone(),
        }
    }
}

/// All nine decimals: `27.560000001 s`.
fn exact(nanos: u64) -> String {
    format!("{}.{:09} s", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

impl Change {
    /// What it was and what it is, in as many decimals as it takes to tell them apart.
    pub fn texts(&self) -> [Option<String>; 2] {
        let both = |fine| [&self.was, &self.is].map(|amount| amount.as_ref().map(|amount| amount.text(fine)));
        let rounded = both(false);
        if rounded[0] == rounded[1] { both(true) } else { rounded }
    }

    /// By how much it is more (`+`) or less (`-`), if that can be said.
    pub fn by(&self) -> Option<String> {
        match (self.was.as_ref()?, self.is.as_ref()?) {
            (Amount::Time(was), Amount::Time(is)) => {
                let (sign, by) = signed(was.0.as_nanos(), is.0.as_nanos());
                let shown = Seconds(Duration::from_nanos(by)).to_string();
                // Less than half a millisecond is said to the nanosecond.
                let fine = by < 500_000;
                Some(format!("{sign}{}", if fine { exact(by) } else { shown }))
            }
            (Amount::Count(was), Amount::Count(is)) => {
                let (sign, by) = signed(*was, *is);
                Some(format!("{sign}{by}"))
            }
            (Amount::Share(was), Amount::Share(is)) => {
                let by = (is - was) * 100.0;
                Some(if by.abs() < 0.0005 { format!("{by:+e} points") } else { format!("{by:+.3} points") })
            }
            _ => None,
        }
    }

    /// The same difference, seen from the other side.
    pub fn mirrored(&self) -> Self {
        Self { about: self.about, what: self.what.clone(), was: self.is.clone(), is: self.was.clone() }
    }

    /// As a row: what, was, is, by.
    pub fn row(&self) -> Vec<String> {
        let [was, is] = self.texts();
        let none = || "-".to_owned();
        let by = self.by().unwrap_or_else(|| match (&self.was, &self.is) {
            (None, _) => "new".into(),
            (_, None) => "gone".into(),
            _ => String::new(),
        });
        vec![self.what.clone(), was.unwrap_or_else(none), is.unwrap_or_else(none), by]
    }
}

fn signed(was: u64, is: u64) -> (char, u64) {
    (if is < was { '-' } else { '+' }, is.abs_diff(was))
}

/// As a sentence without its full stop: "app forward: outage of cut was 27.560 s, is 9.120 s (-18.440 s)".
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = &self.what;
        match self.texts() {
            [Some(was), Some(is)] => {
                write!(f, "{what} was {was}, is {is}")?;
                self.by().map_or(Ok(()), |by| write!(f, " ({by})"))
            }
            [Some(was), None] => write!(f, "{what} is gone: it was {was}"),
            [None, Some(is)] => write!(f, "{what} is new: {is}"),
            [None, None] => write!(f, "{what}: nothing"),
        }
    }
}

/// Differences on their way.
#[derive(Default)]
pub(super) struct Changes(pub(super) Vec<Change>);

impl Changes {
    /// Keeps a difference, if it is one, and says whether.
    pub(super) fn note(
        &mut self,
        about: About,
        what: impl Into<String>,
        was: Option<Amount>,
        is: Option<Amount>,
    ) -> bool {
        let differs = was != is;
        if differs {
            self.0.push(Change { about, what: what.into(), was, is });
        }
        differs
    }

    /// The same of two that are both there.
    pub(super) fn both(
        &mut self,
        about: About,
        what: impl Into<String>,
        was: impl Into<Amount>,
        is: impl Into<Amount>,
    ) -> bool {
        self.note(about, what, Some(was.into()), Some(is.into()))
    }

    /// Keeps the first of these that differs: the others are its consequences, or too small to be told beside it.
    pub(super) fn first(&mut self, about: About, all: impl IntoIterator<Item = (String, Amount, Amount)>) -> bool {
        all.into_iter().any(|(what, was, is)| self.both(about, what, was, is))
    }
}
