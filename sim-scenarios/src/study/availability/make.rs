//! From the text of a question of availability to an [`Availability`]: everything that is wrong with it at once.

use sim_core::time::Duration;

use super::schema::{self, WORD};
use super::{Availability, Design, Rate, Repair};
use crate::breakage;
use crate::diagnostic::Diagnostics;
use crate::leaf::Number;
use crate::make::judge::{Judge, between, did_you_mean, positive};
use crate::place::At;
use crate::read;
use crate::scenario::{NoSecrets, Scenario};
use crate::source::Source;
use crate::study::Library;

/// The kinds of components.
const KINDS: [&str; 6] = ["link", "path", "node", "endpoint", "availability_zone", "group"];
/// The most runs and years: more take days, or memory without use.
const MOST: u64 = 1_000_000;

/// Whether a text asks for availability: its first word, behind comments and extensions, says so.
pub fn is_one(text: &str) -> bool {
    let mut rest = text.trim_start();
    loop {
        let after = if let Some(line) = rest.strip_prefix("//") {
            line.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, after)| after)
        } else if let Some(extension) = rest.strip_prefix('#') {
            extension.split_once(']').map_or("", |(_, after)| after)
        } else {
            return rest.strip_prefix(WORD).is_some_and(|after| after.trim_start().starts_with('('));
        };
        rest = after.trim_start();
    }
}

impl Availability {
    /// Reads a question; `file` names it in error messages.
    ///
    /// # Errors
    /// The first mistake of syntax or shape; or else all mistaken values, names and ranges.
    pub fn parse(file: &str, text: &str, library: &dyn Library) -> Result<Self, Diagnostics> {
        let source = Source::new(file, text);
        let schema: schema::Availability = read::read(&source)?;
        let mut judge = Judge::new(&source, &NoSecrets);
        let made = make(&schema, library, &mut judge);
        judge.verdict()?;
        Ok(made)
    }
}

fn make(schema: &schema::Availability, library: &dyn Library, j: &mut Judge) -> Availability {
    j.lawful(&schema.version, |version| match version {
        1 => Ok(()),
        other => Err(format!("this program reads version 1 of the language of availability, not {other}")),
    });
    let mut number = |at: &Option<At<u64>>, default: u64, what: &str| match at {
        Some(at) => j.lawful(at, |n| between(*n, 1, MOST, what)).unwrap_or(default),
        None => default,
    };
    let runs = number(&schema.runs, 10, "the number of runs");
    let years = number(&schema.years, 10_000, "the number of years");
    let names = j.names(&schema.designs, "design");
    let mut designs = Vec::new();
    for (name, (_, design)) in names.into_iter().zip(&schema.designs.0) {
        designs.extend(self::design(name, design, library, j));
    }
    if schema.designs.0.is_empty() {
        j.wrong(schema.name.place, "nothing is compared", Some("add `designs: { ... },`".into()));
    }
    Availability {
        name: j.need(&schema.name, String::new()),
        question: j.need(&schema.question, String::new()),
        rates: rates(schema, &designs, j),
        designs,
        pairs: j.or(&schema.pairs, true),
        runs,
        years,
        seed: j.or(&schema.seed, 1),
    }
}

fn design(name: String, design: &schema::Design, library: &dyn Library, j: &mut Judge) -> Option<Design> {
    let path = j.read(&design.scenario)?;
    let (shown, text) = match library.scenario(&path) {
        Ok(found) => found,
        Err(why) => {
            j.wrong(design.scenario.place, format!("cannot read the scenario {path}: {why}"), None);
            return None;
        }
    };
    let secrets = library.secrets(&path);
    let mut scenario = match Scenario::parse(&shown, &text, &*secrets) {
        Ok(scenario) => scenario,
        Err(mistakes) => {
            let first = mistakes.iter().next().map(|it| format!("line {}: {}", it.line, it.message));
            let message = format!("the scenario {path} has mistakes: {}", first.unwrap_or_default());
            j.wrong(design.scenario.place, message, Some(format!("`vpnsim check {shown}` shows them all")));
            return None;
        }
    };
    for at in &design.set {
        let Some(change) = j.read(at) else { continue };
        match scenario.with(&[change], &*secrets) {
            Ok(changed) => scenario = changed,
            Err(mistakes) => {
                let first = mistakes.iter().next();
                let message = first.map_or(String::new(), |it| it.message.clone());
                let message = format!("this change does not work: {message}");
                j.wrong(at.place, message, first.and_then(|it| it.help.clone()));
            }
        }
    }
    let probes: Vec<String> = scenario.plan().probes.iter().map(|probe| probe.name.clone()).collect();
    let probe = j.find(&design.probe, "probe", &probes)?;
    let items = j.names(&design.items, "item");
    let items = items.into_iter().zip(&design.items.0).map(|(item, (_, number))| {
        let lawful = |number: &Number| if number.0 >= 0.0 { Ok(()) } else { Err("nobody has less than none".into()) };
        (item, j.lawful(number, lawful).map_or(0.0, |number| number.0))
    });
    let items = items.collect();
    Some(Design { name, scenario, probe, items })
}

fn rates(schema: &schema::Availability, designs: &[Design], j: &mut Judge) -> Vec<(String, Rate)> {
    let components: Vec<String> =
        designs.iter().flat_map(|design| breakage::components(design.scenario.plan())).map(|one| one.name).collect();
    let names = j.names(&schema.rates, "rate");
    let mut rates = Vec::new();
    for (name, (at, rate)) in names.into_iter().zip(&schema.rates.0) {
        // Without designs nothing can be said of names.
        if !designs.is_empty() && !KINDS.contains(&name.as_str()) && !components.contains(&name) {
            let help = did_you_mean(&name, KINDS.into_iter().chain(components.iter().map(String::as_str)));
            j.wrong(at.place, format!("no design has a component or a kind `{name}`"), help);
        }
        let minutes = |span: Duration| span.as_secs_f64() / 60.0;
        let mtbf = j.lawful(&rate.mtbf, |span| positive(*span, "the time between failures"));
        let mttr = j.lawful(&rate.mttr, |span| positive(*span, "the time to repair"));
        let failures = rate.failures.as_ref().and_then(|at| j.lawful(at, |n| between(*n, 1, MOST, "the number")));
        let repair = match &rate.repair {
            None | Some(schema::Repair::Exponential) => Repair::Exponential,
            Some(schema::Repair::Fixed) => Repair::Fixed,
            Some(schema::Repair::LogNormal { sigma }) => {
                let lawful = |sigma: &Number| match sigma.0 {
                    sigma if sigma > 0.0 && sigma <= 5.0 => Ok(()),
                    sigma => Err(format!("sigma must be above 0 and at most 5, not {sigma}")),
                };
                Repair::LogNormal { sigma: j.lawful(sigma, lawful).map_or(1.0, |sigma| sigma.0) }
            }
        };
        let source = j.need(&rate.source, String::new());
        if let (Some(mtbf), Some(mttr)) = (mtbf, mttr) {
            rates.push((name, Rate { mtbf: minutes(mtbf), mttr: minutes(mttr), repair, failures, source }));
        }
    }
    rates
}

#[cfg(test)]
mod tests {
    use super::is_one;

    #[test]
    fn the_first_word_says_what_is_asked() {
        for text in [
            "Availability(version: 1)",
            "// a (b)\n/* c */ #![enable(implicit_some)]\nAvailability (",
            "\n Availability(",
        ] {
            assert!(is_one(text), "{text}");
        }
        for text in ["(version: 1)", "// Availability(", "Study(name: \"Availability(\")", "Availability", "", "/*"] {
            assert!(!is_one(text), "{text}");
        }
    }
}
