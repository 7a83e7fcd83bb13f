//! `vpnsim`: asks a scenario's question and prints the answer.
//!
//! What was typed ([`args`]) becomes what it means ([`job`]), then a job is done ([`commands`]). This crate is the only
//! one that touches files, the environment, the terminal and the clock.
//!
//! Exit codes: 0 answered and all expectations held, 1 an expectation failed, 2 the question was malformed or unreadable,
//! 3 the simulator found its own bug.

mod args;
mod bug;
mod check;
mod commands;
mod completions;
mod diagnose;
mod diff;
mod engine;
mod export;
mod failure;
mod job;
mod live;
mod man;
mod new;
mod output;
mod page;
mod picture;
mod progress;
mod schema;
mod screen;
mod secrets;
mod study;
mod suite;
mod taps;
mod watch;
mod whole;
mod why;

use std::process::ExitCode;

use clap::Parser;

/// Worlds of many devices allocate small blocks all over; this allocator keeps them on few pages.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What the program has to say to its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Answered, and every expectation held.
    Held,
    /// Answered, and an expectation failed.
    Failed,
    /// The question was malformed or unreadable, or the answer could not be delivered.
    Unanswered,
    /// The simulator found its own bug.
    Bug,
    /// The user left before there was an answer, by a signal or as if by one: what a shell says of that.
    Interrupted(u8),
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        ExitCode::from(match verdict {
            Verdict::Held => 0,
            Verdict::Failed => 1,
            Verdict::Unanswered => 2,
            Verdict::Bug => 3,
            Verdict::Interrupted(code) => code,
        })
    }
}

fn main() -> ExitCode {
    let typed = match args::Args::try_parse() {
        Ok(typed) => typed,
        Err(error) => {
            // Help and version count as answers; nobody is left to tell if printing fails.
            let _ = error.print();
            return match error.exit_code() {
                0 => Verdict::Held.into(),
                _ => Verdict::Unanswered.into(),
            };
        }
    };
    let verdict = match bug::guard(|| commands::execute(typed)) {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(failure)) => {
            screen::complain(&failure);
            if matches!(failure, failure::Failure::Diverged { .. }) { Verdict::Bug } else { Verdict::Unanswered }
        }
        Err(bug) => {
            screen::confess(&bug);
            Verdict::Bug
        }
    };
    verdict.into()
}
