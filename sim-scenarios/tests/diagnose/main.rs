//! `vpnsim diagnose` against worlds with one thing wrong, drawn for each row of the troubleshooting table, and against worlds that are
//! healthy: what is said, against what was done to the world.
//!
//! A handful of each row by default, 200 with `VPNSIM_FULL=1`; `DIAGNOSE=CLASS,NUMBER` shows one case. At least 95 % must be right. A case is
//! right if all causes that are found are of its row, and each has a fix; a healthy one if none is found. Every suggested fix is run once
//! more: with all of them the world must be healthy. The matrix of both is printed.

#![allow(clippy::disallowed_macros, reason = "the matrix is what the test is run for")]

mod world;

use std::collections::BTreeMap;
use std::env;

use rayon::prelude::*;
use sim_scenarios::NoSecrets;
use sim_scenarios::diagnose::{self, Class, report};

/// A case that was diagnosed.
struct Judged {
    injected: Option<Class>,
    number: u64,
    found: Vec<Class>,
    cured: bool,
    fixes: bool,
    text: String,
}

impl Judged {
    fn of(injected: Option<Class>, number: u64) -> Self {
        let scenario = world::draw(injected, number);
        let diagnosis = diagnose::diagnose(&scenario, &NoSecrets);
        let found: Vec<Class> = diagnosis.causes.iter().map(|cause| cause.class).collect();
        let fixes = diagnosis.causes.iter().all(|cause| cause.fix.is_some());
        let edits: Vec<&str> = diagnosis.edits().collect();
        let changed = scenario.with(&edits, &NoSecrets).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let left = diagnose::findings(changed.plan());
        // What has no fix is not promised to be gone.
        let cured = !fixes || left.is_empty();
        Self { injected, number, found, cured, fixes, text: report::text(&diagnosis) }
    }

    fn is_right(&self) -> bool {
        match self.injected {
            None => self.found.is_empty(),
            Some(class) => !self.found.is_empty() && self.found.iter().all(|found| *found == class) && self.fixes,
        }
    }

    /// The column of the matrix: the first cause.
    fn said(&self) -> &'static str {
        self.found.first().map_or("healthy", |class| class.code())
    }
}

fn name(class: Option<Class>) -> &'static str {
    class.map_or("healthy", Class::code)
}

/// Rows are what was done to the worlds, columns what was said.
fn matrix(judged: &[Judged]) -> String {
    let rows: Vec<Option<Class>> = Class::TABLE.into_iter().map(Some).chain([None]).collect();
    let mut columns: Vec<&str> = rows.iter().map(|class| name(*class)).collect();
    for case in judged {
        if !columns.contains(&case.said()) {
            columns.push(case.said());
        }
    }
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for case in judged {
        *counts.entry((name(case.injected), case.said())).or_default() += 1;
    }
    let mut text =
        format!("| done \\ said | {} | right |\n|---|{}---|\n", columns.join(" | "), "---|".repeat(columns.len()));
    for row in rows {
        let of: Vec<&Judged> = judged.iter().filter(|case| case.injected == row).collect();
        let right = of.iter().filter(|case| case.is_right()).count();
        let cells: Vec<String> = columns
            .iter()
            .map(|column| counts.get(&(name(row), *column)).map_or(String::new(), ToString::to_string))
            .collect();
        text += &format!("| {} | {} | {right} of {} |\n", name(row), cells.join(" | "), of.len());
    }
    text
}

#[test]
fn the_cause_is_found_and_its_cure_works() {
    let classes: Vec<Option<Class>> = Class::TABLE.into_iter().map(Some).chain([None]).collect();
    if let Some(one) = env::var_os("DIAGNOSE") {
        let one = one.into_string().expect("it is text");
        let (class, number) = one.split_once(',').expect("CLASS,NUMBER");
        let class = classes.into_iter().find(|it| name(*it) == class).expect("a class");
        let number = number.parse().expect("a number");
        println!("{}", world::draw(class, number).text());
        println!("{}", Judged::of(class, number).text);
        return;
    }
    let each = if env::var_os("VPNSIM_FULL").is_some() { 200 } else { 4 };
    let mut cases: Vec<(Option<Class>, u64)> =
        classes.into_iter().flat_map(|class| (0..each).map(move |number| (class, number))).collect();
    if each < 200 {
        // In this one the lifetime of a CHILD_SA ends while its rekey is being refused.
        cases.push((Some(Class::Pfs), 7));
    }
    let judged: Vec<Judged> = cases.into_par_iter().map(|(class, number)| Judged::of(class, number)).collect();
    let matrix = matrix(&judged);
    println!("{matrix}");
    let wrong: Vec<&Judged> = judged.iter().filter(|case| !case.is_right()).collect();
    for case in &wrong {
        let found: Vec<&str> = case.found.iter().map(|class| class.code()).collect();
        println!("{} {}: {found:?}\n{}", name(case.injected), case.number, case.text);
    }
    let uncured: Vec<String> = judged
        .iter()
        .filter(|case| !case.cured)
        .map(|case| format!("{} {}", name(case.injected), case.number))
        .collect();
    assert!(uncured.is_empty(), "suggested, and not cured: {uncured:?}");
    let right = judged.len() - wrong.len();
    println!("{right} of {} are right", judged.len());
    assert!(right * 100 >= judged.len() * 95, "{right} of {} are right\n{matrix}", judged.len());
}
