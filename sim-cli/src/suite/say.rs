//! What a test comes to, for people: a line for each scenario, then what is wrong, then how many.

use sim_scenarios::compare::Verdict as Likeness;
use sim_scenarios::report::story::{Block, Section};

use super::judge::{Answered, Came, Standing, Tried, Trouble};
use crate::Verdict;

/// Differences that are said of one scenario, unless all are wanted.
const MOST: usize = 12;

/// What a scenario comes to, in one line.
pub fn line(tried: &Tried, timed: bool) -> String {
    let file = tried.case.file.display();
    match &tried.came {
        Came::Trouble(trouble) => match **trouble {
            Trouble::Malformed(_) => format!("{file}: malformed"),
            Trouble::Bug(_) => format!("{file}: vpnsim found a bug in itself"),
        },
        Came::Answered(answered) => {
            let mut parts = vec![expectations(answered)];
            parts.extend(controls(answered));
            parts.push(standing(&answered.standing));
            if timed {
                let all = answered.controls.iter().fold(answered.took, |sum, control| sum + control.took);
                parts.push(format!("{:.3} s", all.as_secs_f64()));
            }
            format!("{file}: {}", parts.join("; "))
        }
    }
}

fn expectations(answered: &Answered) -> String {
    let (all, failed) = (answered.report.expectations.len(), answered.failed().count());
    match (all, failed) {
        (0, _) => "nothing is expected".into(),
        (1, 0) => "the expectation held".into(),
        (_, 0) => format!("{all} expectations held"),
        _ => format!("{failed} of {all} expectations failed"),
    }
}

fn controls(answered: &Answered) -> Option<String> {
    let (all, idle) = (answered.controls.len(), answered.idle().count());
    match (all, idle) {
        (0, _) => None,
        (1, 0) => Some("the control broke it".into()),
        (_, 0) => Some(format!("{all} controls broke them")),
        _ => Some(format!("{idle} of {all} controls broke nothing")),
    }
}

fn standing(standing: &Standing) -> String {
    match standing {
        Standing::Unknown => "no golden answer".into(),
        Standing::Same => "as golden".into(),
        Standing::Unreadable(_) => "the golden answer does not read".into(),
        Standing::Differs { comparison, .. } => match comparison.verdict {
            Likeness::Different => format!("CHANGED: {}", comparison.counts()),
            Likeness::Same | Likeness::TraceOnly => "CHANGED: the trace only".into(),
        },
    }
}

/// What is wrong with a scenario or otherwise than it was, if anything is.
pub fn details(tried: &Tried, all: bool) -> Option<Section> {
    let Came::Answered(answered) = &tried.came else { return None };
    let mut blocks: Vec<Block> = wrongs(answered).into_iter().map(|text| Block::Judge { held: false, text }).collect();
    blocks.extend(changed(answered, all).into_iter().map(Block::Say));
    (!blocks.is_empty()).then(|| Section { title: tried.case.file.display().to_string(), blocks })
}

/// Expectations that failed and controls that broke nothing, a text for each.
fn wrongs(answered: &Answered) -> Vec<String> {
    let failed = answered.failed().map(|it| format!("{}: {}: {}", it.name, it.text, it.detail));
    let idle = answered.idle().map(|it| {
        let name = &it.named.name;
        format!("control {} must break {name}, which still holds: {}", it.changes, it.named.detail)
    });
    failed.chain(idle).collect()
}

/// What is otherwise than in the golden answer, a sentence for each; no more than a few of them unless all are wanted.
pub fn changed(answered: &Answered, all: bool) -> Vec<String> {
    let Standing::Differs { comparison, version } = &answered.standing else { return Vec::new() };
    let mut sentences = comparison.sentences();
    if comparison.verdict == Likeness::Same {
        // Digests differ, or nothing would have been compared.
        sentences = vec!["The trace differs, what is reported does not.".into()];
    }
    let hidden = sentences.len().saturating_sub(MOST);
    if !all && hidden > 1 {
        sentences.truncate(MOST);
        sentences.push(format!("{hidden} more differences; -v says all."));
    }
    if *version != answered.report.vpnsim {
        sentences
            .push(format!("The golden answer is vpnsim {version}'s, this one vpnsim {}'s.", answered.report.vpnsim));
    }
    sentences
}

/// How many came to what.
pub fn summary(tried: &[Tried], update: bool) -> String {
    let count = |verdict: Verdict| tried.iter().filter(|it| it.verdict(update) == verdict).count();
    let parts = [
        (count(Verdict::Held), "held"),
        (count(Verdict::Failed), "FAILED"),
        (count(Verdict::Unanswered), "malformed"),
        (count(Verdict::Bug), "with a bug of vpnsim"),
    ];
    let parts: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    let standing = |wanted: fn(&Standing) -> bool| {
        let answered = tried.iter().filter_map(|it| match &it.came {
            Came::Answered(answered) => Some(answered),
            Came::Trouble(_) => None,
        });
        answered.filter(|it| wanted(&it.standing)).count()
    };
    let changed = standing(|it| matches!(it, Standing::Differs { .. }));
    let unknown = standing(|it| matches!(it, Standing::Unknown));
    let mut text = match tried.len() {
        1 => format!("1 scenario: {}.", parts.join(", ")),
        n => format!("{n} scenarios: {}.", parts.join(", ")),
    };
    if changed > 0 {
        text.push_str(&format!(" The behaviour of {changed} is not that of the golden answer."));
    }
    if unknown > 0 && !update {
        text.push_str(&format!(" {unknown} without a golden answer: --update makes today's golden."));
    }
    text
}
