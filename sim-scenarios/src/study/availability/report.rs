//! Minutes dark in a year, for people.

use std::fmt::Write as _;

use super::price::{self, Price, Unpriced};
use super::{Answer, Availability, MONTHS, PROMISE, Repair, YEAR};
use crate::report::story::{Block, Section, Table};
use crate::study::plot::{self, Series, short};
use crate::study::statistics::{CONFIDENCE, Interval};

/// Contributions that the report names of each design.
const MOST: usize = 6;

/// Tells it all; with prices, also what each design costs.
///
/// # Errors
/// If a design has an item without a price.
pub fn sections(
    question: &Availability,
    answers: &[Answer],
    prices: Option<&[Price]>,
) -> Result<Vec<Section>, Unpriced> {
    let mut sections = vec![
        Section {
            title: String::new(),
            blocks: vec![Block::Say(question.question.clone()), Block::Say(best(answers))],
        },
        Section { title: "Minutes dark in a year".into(), blocks: table(question, answers) },
        Section { title: "What AWS's definition counts".into(), blocks: promise(answers) },
    ];
    if let Some(prices) = prices {
        sections.push(costs(answers, prices)?);
    }
    sections.extend(answers.iter().map(parts));
    sections.push(rates(question));
    sections.push(doubts(question, answers));
    Ok(sections)
}

fn best(answers: &[Answer]) -> String {
    let mut sorted: Vec<&Answer> = answers.iter().collect();
    sorted.sort_by(|a, b| a.expected.total_cmp(&b.expected));
    let words: Vec<String> = sorted.iter().map(|answer| format!("{} {}", answer.design, minutes(answer))).collect();
    format!("Expected minutes dark in a year, the least first: {}.", words.join("; "))
}

fn minutes(answer: &Answer) -> String {
    let least = if answer.at_least { "at least " } else { "" };
    format!("{least}{} {}", short(answer.expected), interval(answer.interval))
}

/// `[1.2, 3.4]`, `[1.2, ...)`.
fn interval(interval: Interval) -> String {
    match (interval.low, interval.high) {
        (Some(low), Some(high)) if low == high => "exactly".into(),
        (Some(low), Some(high)) => format!("[{}, {}]", short(low), short(high)),
        (Some(low), None) => format!("[{}, no limit)", short(low)),
        (None, Some(high)) => format!("(no limit, {}]", short(high)),
        (None, None) => "(no interval)".into(),
    }
}

fn table(question: &Availability, answers: &[Answer]) -> Vec<Block> {
    let row = |answer: &Answer| {
        let year = |p: f64| answer.years.quantile(p, CONFIDENCE).map_or("-".into(), |quantile| short(quantile.value));
        let share = &answer.months_below;
        let percent = |share: Option<f64>| share.map_or("-".into(), |share| short(share * 100.0));
        let (low, high) = (share.interval.low.unwrap_or(0.0), share.interval.high.unwrap_or(1.0));
        vec![
            answer.design.clone(),
            short(answer.expected),
            interval(answer.interval),
            format!("{:.4}", 100.0 * (1.0 - answer.expected / YEAR)),
            [year(0.05), year(0.5), year(0.95)].join(" / "),
            format!("{} [{}, {}]", percent(share.value()), short(low * 100.0), short(high * 100.0)),
        ]
    };
    let head = vec![
        "design",
        ">expected (min)",
        "95 % interval",
        ">availability (%)",
        ">a year: 5 / 50 / 95 %",
        ">months below 99.95 % (%)",
    ];
    let told = format!(
        "The interval is of the expectation: what {} measured failovers of each component, and the given rates, leave open. The quantiles \
         are of single years, of which {} were drawn; a month is below {PROMISE} % with more than {} dark minutes.",
        question.runs,
        question.years,
        short(YEAR / MONTHS as f64 * (1.0 - PROMISE / 100.0)),
    );
    vec![Block::Table(Table { head, rows: answers.iter().map(row).collect() }), Block::Say(told)]
}

fn promise(answers: &[Answer]) -> Vec<Block> {
    let row = |answer: &Answer| {
        let owed = answer.months_aws_owes.value().map_or("-".into(), |share| short(share * 100.0));
        let ratio = if answer.expected > 0.0 { short(100.0 * answer.aws / answer.expected) } else { "-".into() };
        vec![answer.design.clone(), short(answer.aws), ratio, owed, answer.half_drawn.join(", ")]
    };
    let head = vec![
        "design",
        ">both endpoints out (min a year)",
        ">of what the user sees (%)",
        ">months that AWS owes (%)",
        "one endpoint drawn",
    ];
    let told = "AWS promises a Monthly Uptime Percentage of 99.95 % for each Site-to-Site VPN connection, which is unavailable while both of \
                its endpoints have no external connectivity (https://aws.amazon.com/vpn/site-to-site-vpn-sla/, 2022-05-05). Customer gateways, \
                lines, paths and failovers are the customer's, and so is the outage of one endpoint where only one tunnel is configured. Of a \
                connection of which one endpoint is drawn, nothing counts here.";
    vec![Block::Table(Table { head, rows: answers.iter().map(row).collect() }), Block::Say(told.into())]
}

fn costs(answers: &[Answer], prices: &[Price]) -> Result<Section, Unpriced> {
    let mut rows = Vec::new();
    for answer in answers {
        let (paid, dark) = price::cost(answer, prices)?;
        let items: Vec<String> =
            answer.items.iter().map(|(item, number)| format!("{} {item}", short(*number))).collect();
        let [paid_, dark_, sum] = [paid, dark, paid + dark].map(|money| format!("{money:.2}"));
        rows.push(vec![answer.design.clone(), items.join(", "), paid_, dark_, sum]);
    }
    let head = vec!["design", "items", ">paid a year", ">expected darkness", ">together"];
    let told = "In the currency of the price file that was given.";
    let blocks = vec![Block::Table(Table { head, rows }), Block::Say(told.into())];
    Ok(Section { title: "What it costs".into(), blocks })
}

fn parts(answer: &Answer) -> Section {
    let told = answer.contributions.iter().filter(|part| part.minutes > 0.0);
    let rows = told.clone().take(MOST).map(|part| {
        let each = if part.until_repair { "until the repair" } else { "a failover" };
        vec![
            part.name.clone(),
            part.kind.clone(),
            short(part.failures),
            format!("{} min, {each}", short(part.each)),
            short(part.minutes),
            short(100.0 * part.minutes / answer.expected),
        ]
    });
    let head = vec!["what fails", "kind", ">times a year", "dark each time", ">min a year", ">share (%)"];
    let mut blocks = vec![Block::Table(Table { head, rows: rows.collect() })];
    let hidden = told.count().saturating_sub(MOST);
    if hidden > 0 {
        blocks.push(Block::Say(format!("{hidden} more are in availability.csv.")));
    }
    Section { title: format!("Where they come from: {}", answer.design), blocks }
}

fn rates(question: &Availability) -> Section {
    let row = |(name, rate): &(String, super::Rate)| {
        let law = match rate.repair {
            Repair::Fixed => "fixed".to_owned(),
            Repair::Exponential => "exponential".to_owned(),
            Repair::LogNormal { sigma } => format!("lognormal, sigma {sigma}"),
        };
        let known = rate.failures.map_or("given".into(), |failures| format!("{failures} failures"));
        let hours = |minutes: f64| format!("{} h", short(minutes / 60.0));
        vec![name.clone(), hours(rate.mtbf), hours(rate.mttr), law, known, rate.source.clone()]
    };
    let head = vec!["component or kind", ">works for", ">repair takes", "law of repair", "from", "source"];
    let rows = question.rates.iter().map(row).collect();
    Section { title: "Rates".into(), blocks: vec![Block::Table(Table { head, rows })] }
}

/// What this does not say.
fn doubts(question: &Availability, answers: &[Answer]) -> Section {
    let mut blocks = vec![Block::Say(format!(
        "Components fail independently of each other and of the time of day, each at a constant rate; what fails together has to be drawn \
         as a group. Each failure was simulated packet by packet, {} times at other moments; {}. Congestion, mistakes of people and \
         planned work are in it only as far as the rates have them.",
        question.runs,
        if question.pairs {
            "of two at once only those count that neither survives together, three at once never"
        } else {
            "two at once were not simulated"
        },
    ))];
    for answer in answers {
        let listed = |all: &[(String, String)]| -> String {
            all.iter().map(|(kind, name)| format!("{name} ({kind})")).collect::<Vec<_>>().join(", ")
        };
        let design = &answer.design;
        if !answer.without_rate.is_empty() {
            blocks.push(Block::Say(format!(
                "{design}: without a rate, so never broken: {}.",
                listed(&answer.without_rate)
            )));
        }
        if !answer.own_ends.is_empty() {
            blocks.push(Block::Say(format!(
                "{design}: not counted, as they take an end of the probe itself: {}.",
                listed(&answer.own_ends)
            )));
        }
        if answer.at_least {
            blocks.push(Block::Say(format!(
                "{design}: a probe was not back when its run ended; its minutes are a lower limit."
            )));
        }
        if answer.restless {
            blocks.push(Block::Say(format!(
                "{design}: its probe is dark without any failure, too; that is not counted."
            )));
        }
    }
    Section { title: "What this does not say".into(), blocks }
}

/// The years of each design as a picture.
pub fn picture(question: &Availability, answers: &[Answer]) -> String {
    let series: Vec<Series> =
        answers.iter().map(|answer| Series { name: answer.design.clone(), sample: answer.years.clone() }).collect();
    plot::cdf(&format!("{}: minutes dark in a year", question.name), "minutes dark in a year (min)", &series)
}

/// Every contribution as a table: design, kind, name, failures a year, minutes dark each time, minutes a year.
pub fn csv(answers: &[Answer]) -> String {
    let mut text = String::from("design,kind,name,failures_per_year,until_repair,minutes_each,minutes_per_year\n");
    for answer in answers {
        for part in &answer.contributions {
            let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
            let _ = writeln!(
                text,
                "{},{},{},{},{},{},{}",
                quoted(&answer.design),
                quoted(&part.kind),
                quoted(&part.name),
                part.failures,
                part.until_repair,
                part.each,
                part.minutes
            );
        }
    }
    text
}
