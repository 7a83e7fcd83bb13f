//! A log stream of AWS, whatever its lines are.

use serde::Serialize;

use crate::plan::{LogOutputFormat, TunnelId};

/// A line of a log.
pub trait Line: Serialize {
    /// The line in AWS's text form, without its end.
    fn plain(&self) -> String;
}

/// The log that AWS writes of one tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log<L> {
    /// The tunnel.
    pub id: TunnelId,
    /// Its name.
    pub tunnel: String,
    /// The log stream's name, which is that of its file.
    pub stream: String,
    /// The form of its lines.
    pub format: LogOutputFormat,
    /// Its lines, in order of time.
    pub lines: Vec<L>,
}

impl<L: Line> Log<L> {
    /// The lines as AWS would deliver them.
    pub fn text(&self) -> String {
        let line = |line: &L| match self.format {
            LogOutputFormat::Json => serde_json::to_string(line).unwrap_or_default() + "\n",
            LogOutputFormat::Text => line.plain() + "\n",
        };
        self.lines.iter().map(line).collect()
    }
}
