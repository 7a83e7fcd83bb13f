//! The result as JUnit XML, as GitLab, GitHub's reporters and Jenkins read it: a suite for each directory, and a case for each thing
//! that can go wrong by itself: that the scenario answers, each expectation, each control, and that the behaviour is golden. So a
//! list of what newly fails names the expectation. Nothing but the `time` attributes depends on the machine.

use std::path::Path;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::judge::{Answered, Came, Standing, Tried, Trouble};
use super::say;
use crate::failure::Failure;
use crate::screen;

/// The result as text.
pub fn text(tried: &[Tried], update: bool) -> String {
    report(tried, update).to_string().expect("a report is valid XML in memory")
}

/// The whole result. Suites are in the order of their first scenario.
fn report(tried: &[Tried], update: bool) -> Report {
    let mut suites: Vec<(String, Vec<TestCase>)> = Vec::new();
    for tried in tried {
        let folder = tried.case.file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).display().to_string();
        let cases = cases(tried, update);
        match suites.iter_mut().find(|(name, _)| *name == folder) {
            Some((_, all)) => all.extend(cases),
            None => suites.push((folder, cases)),
        }
    }
    let mut report = Report::new("vpnsim test");
    for (name, cases) in suites {
        let mut suite = TestSuite::new(name);
        suite.set_time(cases.iter().filter_map(|case| case.time).sum());
        suite.add_test_cases(cases);
        report.add_test_suite(suite);
    }
    report.set_time(report.test_suites.iter().filter_map(|suite| suite.time).sum());
    report
}

fn cases(tried: &Tried, update: bool) -> Vec<TestCase> {
    let file = tried.case.file.display().to_string();
    let class = tried.case.file.with_extension("").display().to_string();
    let mut cases = match &tried.came {
        Came::Trouble(trouble) => vec![TestCase::new(ANSWERS, error(trouble))],
        Came::Answered(answered) => answered_cases(answered, update),
    };
    for case in &mut cases {
        case.set_classname(class.as_str());
        case.extra.insert("file".into(), file.as_str().into());
    }
    cases
}

/// The name of the case that a scenario can be read and run.
const ANSWERS: &str = "answers";

fn error(trouble: &Trouble) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    match trouble {
        Trouble::Malformed(failure) => {
            let text = screen::plainly(failure);
            status.set_type("malformed").set_message(first_line(&text)).set_description(text);
        }
        Trouble::Bug(bug) => {
            status.set_type("bug").set_message(format!("vpnsim found a bug in itself: {bug}"));
        }
    }
    status
}

fn answered_cases(answered: &Answered, update: bool) -> Vec<TestCase> {
    let mut answers = TestCase::new(ANSWERS, TestCaseStatus::success());
    answers.set_time(answered.took);
    answers.add_properties([
        ("seed".to_owned(), answered.report.seed.to_string()),
        ("digest".to_owned(), answered.report.digest.clone()),
    ]);
    let mut cases = vec![answers];
    for it in &answered.report.expectations {
        let status = if it.held { TestCaseStatus::success() } else { failure("expectation", &it.detail, &it.text) };
        cases.push(TestCase::new(format!("expectation {}: {}", it.name, it.text), status));
    }
    for it in &answered.controls {
        let name = format!("control {} breaks {}", it.changes, it.named.name);
        let status = match it.named.held {
            false => TestCaseStatus::success(),
            true => failure("control", &format!("it still holds: {}", it.named.detail), &it.named.text),
        };
        let mut case = TestCase::new(name, status);
        case.set_time(it.took);
        cases.push(case);
    }
    cases.push(TestCase::new("behaviour is golden", golden_status(answered, update)));
    cases
}

fn golden_status(answered: &Answered, update: bool) -> TestCaseStatus {
    match &answered.standing {
        Standing::Same => TestCaseStatus::success(),
        _ if update => TestCaseStatus::success(),
        Standing::Unknown => {
            let mut status = TestCaseStatus::skipped();
            status.set_message("there is no golden answer");
            status
        }
        Standing::Unreadable(failure) => error_of(failure),
        Standing::Differs { .. } => {
            let sentences = say::changed(answered, true);
            let foremost = sentences.first().map_or("", String::as_str);
            failure("changed", foremost, &sentences.join("\n"))
        }
    }
}

fn error_of(failure: &Failure) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_type("golden").set_message(failure.to_string());
    status
}

fn failure(kind: &str, message: &str, text: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_type(kind).set_message(message).set_description(text);
    status
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
