//! The answer of `vpnsim why` for people.

use std::fmt::Write as _;

use sim_core::time::Duration;

use super::document::{Branch, Change, Event, Explained, Parameter, Row, Wait, Why};
use crate::report::model::Seconds;
use crate::report::story::{self, Block, Section, Table};

/// Longest list of what was needed besides.
const BESIDE: usize = 6;

/// Tells the answer.
pub fn tell(why: &Why) -> Vec<Section> {
    let Some(explained) = &why.outage else {
        let text = "No probe stream went dark: there is no outage to explain.".to_owned();
        return vec![section("", vec![Block::Say(text)])];
    };
    let mut sections = vec![section("", answer(why, explained))];
    if !explained.path.is_empty() {
        sections.extend([
            section("Critical path", path(explained)),
            section("Waits", waits(explained)),
            section("Beside it", beside(explained)),
            section("One change", changes(explained)),
        ]);
    }
    sections.retain(|section| !section.blocks.is_empty());
    sections
}

fn section(title: &str, blocks: Vec<Block>) -> Section {
    Section { title: title.into(), blocks }
}

fn answer(why: &Why, explained: &Explained) -> Vec<Block> {
    let outage = &explained.outage;
    let until = match outage.end_s {
        Some(end) => format!("until {end} ({})", outage.duration_s),
        None => "and was when the run ended".into(),
    };
    let mut sentence = format!(
        "Outage {} of {}: {} was dark {} from {} {until}: {} probes were lost, {}.",
        explained.number,
        why.outages,
        outage.probe,
        outage.direction.replace('_', " "),
        outage.start_s,
        outage.lost,
        outage.fault.as_ref().map_or("none of them to a fault".into(), |fault| format!("because of {fault}")),
    );
    let reason = match (&outage.fault, outage.end_s) {
        _ if !explained.path.is_empty() => None,
        (None, _) => Some("Behind no fault there is no path to walk."),
        (Some(_), None) => {
            Some("It did not end, so nothing is known to have ended it: `vpnsim diagnose` looks for what is wrong.")
        }
        (Some(_), Some(_)) => {
            Some("No record ended it: the probe that came through depended on nothing that had changed.")
        }
    };
    sentence.extend(reason.map(|reason| format!(" {reason}")));
    if let Some(row) = longest(&explained.path) {
        let _ = write!(sentence, " Longest it waited for {}: {}.", subject(row), row.step.waited_s);
    }
    let mut blocks = vec![Block::Say(sentence)];
    if let Some(best) = explained.changes.first() {
        blocks.push(Block::Say(best_change(best)));
    }
    blocks
}

fn best_change(best: &Change) -> String {
    match (best.saved_nanos(), best.after_s) {
        (1.., Some(Seconds(Duration::ZERO))) => {
            format!("One change avoids it: {} ({}).", best.text, best.set.join(" with "))
        }
        (1.., Some(after)) => format!(
            "The single change that shortens it most, of {}: {} ({}). It lasts {after} then.",
            "those that were run",
            best.text,
            best.set.join(" with "),
        ),
        _ => "No single change that was run shortens it.".into(),
    }
}

/// The row that was waited for longest.
fn longest(path: &[Row]) -> Option<&Row> {
    path.iter().rev().filter(|row| row.wait.is_some()).max_by_key(|row| row.step.waited_s)
}

fn subject(row: &Row) -> String {
    format!("{}: {}", row.step.node, story::step_text(&row.step))
}

fn path(explained: &Explained) -> Vec<Block> {
    let (Some(first), Some(last)) = (explained.path.first(), explained.path.last()) else { return Vec::new() };
    let start = first.step.at_s.0;
    let total = last.step.at_s.0.saturating_sub(start);
    let row = |row: &Row| {
        let waited = row.step.waited_s;
        vec![
            row.step.at_s.to_string(),
            row.step.node.clone(),
            story::step_text(&row.step),
            if waited.0.is_zero() { String::new() } else { waited.to_string() },
            story::bar(&row.step, start, total),
        ]
    };
    let head = vec![">when", "node", "event", ">waited", "where the time went"];
    let table = Block::Table(Table { head, rows: explained.path.iter().map(row).collect() });
    vec![table, Block::Say(format!("{} in all.", Seconds(total)))]
}

fn waits(explained: &Explained) -> Vec<Block> {
    let strike = explained.path.first().map_or(Duration::ZERO, |row| row.step.at_s.0);
    let told = |row: &Row| row.wait.as_ref().map(|wait| Block::Say(sentence(row, wait, strike)));
    explained.path.iter().filter_map(told).collect()
}

/// All that is known of a wait.
fn sentence(row: &Row, wait: &Wait, strike: Duration) -> String {
    let mut text = format!("{}, {}: {}", subject(row), row.step.waited_s, wait.text);
    if let Some(armed) = wait.armed_s.filter(|_| wait.tied.is_none() || wait.slack_s.is_some()) {
        let _ = write!(text, ", armed at {armed}");
        if let Some(by) = &wait.armed_by {
            let _ = write!(text, " by {by}");
        }
        if armed.0 < strike {
            text.push_str(", before the fault: the rest of it counts");
        }
    }
    text.push('.');
    if let Some(parameter) = &wait.parameter {
        let _ = write!(text, " {}.", setting(parameter));
    }
    match (&wait.tied, wait.slack_s) {
        (Some(tied), None) => {
            let _ = write!(text, " {} ({}).", tied.text, tied.at_s);
        }
        (Some(tied), Some(_)) => {
            let _ =
                write!(text, " Shortening it moves nothing: {} comes at {} whatever was before.", tied.text, tied.at_s);
        }
        (None, Some(slack)) => match &wait.runner_up {
            Some(Event { at_s, text: next }) => {
                let _ = write!(text, " Slack {slack}: {next} ({at_s}) decides then.");
            }
            None => {
                let _ = write!(text, " Slack {slack}: nothing else decides before it is over.");
            }
        },
        (None, None) => {}
    }
    if let Some(Event { at_s, text: step }) = &wait.drives {
        let _ = write!(text, " It set when {step} ({at_s}) came: a change moves that.");
    }
    if let Some(Event { at_s, text: other }) = &wait.backstop {
        let _ = write!(text, " Had it been longer, {other} ({at_s}) would have ended it.");
    }
    text
}

fn setting(parameter: &Parameter) -> String {
    let Parameter { path, value, origin, source } = parameter;
    match source {
        Some(source) => format!("{path}={value} ({origin}: {source})"),
        None if origin == "scenario" => format!("{path}={value} (as the scenario says)"),
        None => format!("{path}={value} ({origin})"),
    }
}

fn beside(explained: &Explained) -> Vec<Block> {
    if explained.beside.is_empty() {
        return Vec::new();
    }
    let row = |branch: &Branch| {
        let longest = longest(&branch.path);
        vec![
            branch.needed.at_s.to_string(),
            branch.needed.text.clone(),
            branch.slack_s.to_string(),
            longest.map(|row| format!("{} ({})", subject(row), row.step.waited_s)).unwrap_or_default(),
        ]
    };
    let rows = explained.beside.iter().take(BESIDE).map(row).collect();
    let head = vec![">when", "needed too", ">slack", "it waited for"];
    let mut blocks = vec![Block::Table(Table { head, rows })];
    let more = explained.beside.len().saturating_sub(BESIDE);
    if more > 0 {
        blocks.push(Block::Say(format!("{more} more came still earlier; --format json has them.")));
    }
    blocks.push(Block::Say("Each might have come later by its slack, and the outage would have been as long.".into()));
    // But for what decides indirectly.
    let waits = explained.beside.iter().take(BESIDE).flat_map(|branch| &branch.path);
    let mut told = Vec::new();
    for row in waits {
        if let Some(Event { at_s, text }) = row.wait.as_ref().and_then(|wait| wait.drives.as_ref()) {
            let sentence =
                format!("{} ({}) set when {text} ({at_s}) came: a change moves that.", subject(row), row.step.at_s);
            if !told.contains(&sentence) {
                told.push(sentence);
            }
        }
    }
    blocks.extend(told.into_iter().map(Block::Say));
    blocks
}

fn changes(explained: &Explained) -> Vec<Block> {
    let mut blocks = Vec::new();
    if !explained.changes.is_empty() {
        let row = |change: &Change| {
            let after = match change.after_s {
                Some(Seconds(Duration::ZERO)) => "none".to_owned(),
                Some(after) => after.to_string(),
                None => "dark".into(),
            };
            vec![saved(change), after, change.text.clone(), change.waits_for.clone()]
        };
        let head = vec![">saved", ">outage", "change", "it waits for then"];
        blocks.push(Block::Table(Table { head, rows: explained.changes.iter().map(row).collect() }));
        let before = explained.outage.duration_s;
        blocks.push(Block::Say(format!("Each was run on the same seed; the outage is {before} without.")));
        let sets: Vec<String> = explained.changes.iter().map(|change| change.set.join(" with ")).collect();
        blocks.push(Block::Say(format!("As --set takes them, in this order: {}", sets.join("; "))));
    }
    if explained.changes.is_empty() {
        blocks.push(Block::Say("No setting is known that is behind one of these waits and could be shorter.".into()));
    }
    blocks.extend(explained.remarks.iter().cloned().map(Block::Say));
    blocks
}

/// What a change saves, with a sign if it costs.
fn saved(change: &Change) -> String {
    match change.saved_nanos() {
        i128::MIN => "never ends".into(),
        nanos if nanos < 0 => format!("-{}", Seconds(Duration::from_nanos(nanos.unsigned_abs() as u64))),
        nanos => Seconds(Duration::from_nanos(nanos as u64)).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::report::text::{Layout, render_sections};

    #[test]
    fn a_failover_reads_well_in_a_narrow_terminal() {
        let text = render_sections(&tell(&fixture::failover()), Layout { width: 80, styled: false });
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        insta::assert_snapshot!(text);
    }

    #[test]
    fn what_has_no_path_says_why() {
        let mut why = fixture::failover();
        let told = |why: &Why| render_sections(&tell(why), Layout::default());
        let explained = why.outage.as_mut().unwrap();
        explained.path.clear();
        explained.outage.end_s = None;
        explained.changes.clear();
        assert!(told(&why).contains("It did not end"), "{}", told(&why));
        why.outage.as_mut().unwrap().outage.fault = None;
        assert!(told(&why).contains("Behind no fault"), "{}", told(&why));
        why.outage = None;
        assert!(told(&why).contains("No probe stream went dark"), "{}", told(&why));
    }

    #[test]
    fn a_tied_step_is_named() {
        let mut why = fixture::failover();
        let explained = why.outage.as_mut().unwrap();
        let wait = explained.path[1].wait.as_mut().unwrap();
        wait.tied = Some(Event { at_s: Seconds(Duration::from_secs(88)), text: "cgw: ike_retry expired".into() });
        let told = render_sections(&tell(&why), Layout { width: 400, styled: false });
        let says = "Shortening it moves nothing: cgw: ike_retry expired comes at 88.000 s whatever was before.";
        assert!(told.contains(says), "{told}");
    }

    #[test]
    fn the_document_reads_back() {
        let why = fixture::failover();
        let again: Why = serde_json::from_str(&why.to_json()).unwrap();
        assert_eq!(again, why);
    }
}
