//! A question of availability: the other kind of file that `vpnsim study` answers.

use std::fs;
use std::path::Path;

use sim_scenarios::report::text;
use sim_scenarios::study::availability::price::{self, Price};
use sim_scenarios::study::availability::{self, Availability, report};
use sim_scenarios::study::findings::Picture;

use super::keep::write;
use super::{Args, Shelf, tell};
use crate::failure::Failure;
use crate::{Verdict, job, screen};

/// Every component's part of a year.
const CSV: &str = "availability.csv";

/// Answers it.
pub fn answer(typed: &Args, asked: &str) -> Result<Verdict, Failure> {
    let file = &typed.file;
    if typed.shard.is_some() || !typed.merge.is_empty() || typed.dry_run {
        return Err(Failure::Study {
            what: format!("{} asks for availability, which is done in one piece", file.display()),
            help: Some("leave out --shard, --merge and --dry-run".into()),
        });
    }
    let directory = file.parent().unwrap_or(Path::new("")).to_path_buf();
    let question =
        Availability::parse(&file.display().to_string(), asked, &Shelf { directory }).map_err(Failure::Malformed)?;
    let prices = typed.prices.as_deref().map(prices).transpose()?;
    if let Some(out) = &typed.out {
        fs::create_dir_all(out).map_err(|error| Failure::undeliverable(out, &error))?;
    }
    let answers = availability::ask(&question, super::threads(typed), &mut |design| {
        if typed.loudness.verbose {
            screen::remark(format_args!("{design} is measured"));
        }
    });
    let told = report::sections(&question, &answers, prices.as_deref());
    let sections = told.map_err(|error| Failure::Study { what: error.to_string(), help: None })?;
    if let Some(out) = &typed.out {
        let name = "years".to_owned();
        let title = format!("{}: minutes dark in a year", question.name);
        let pictures = [Picture { name, title, svg: report::picture(&question, &answers) }];
        write(&out.join(CSV), report::csv(&answers).as_bytes())?;
        tell::report(out, &question.name, &sections, &pictures)?;
        if !typed.loudness.quiet {
            screen::remark(format_args!("wrote study.md, years.svg, years.png and {CSV} into {}", out.display()));
        }
    }
    screen::answer(&text::render_sections(&sections, job::layout()))?;
    Ok(Verdict::Held)
}

fn prices(file: &Path) -> Result<Vec<Price>, Failure> {
    let text = fs::read_to_string(file).map_err(|error| Failure::unreadable(file, &error))?;
    price::read(&text).map_err(|error| Failure::Study { what: format!("{}: {error}", file.display()), help: None })
}
