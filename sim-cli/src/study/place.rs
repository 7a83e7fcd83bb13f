//! Which part of a study this process is to do, as typed or as its scheduler says.
//!
//! | scheduler | variables | source |
//! |---|---|---|
//! | Slurm job arrays | `SLURM_ARRAY_TASK_ID`, `_COUNT`, `_MIN`, `_STEP` | `man sbatch`, output environment variables |
//! | AWS Batch array jobs | `AWS_BATCH_JOB_ARRAY_INDEX` from 0, `AWS_BATCH_JOB_ARRAY_SIZE` | AWS Batch User Guide, job environment variables |
//! | Kubernetes Indexed Jobs | `JOB_COMPLETION_INDEX` from 0; the number of completions is told by nobody | Kubernetes, Jobs, completion mode |

use std::str::FromStr;

use sim_scenarios::study::shard::Shard;

/// Where the variables are.
pub trait Variables {
    /// The value of a variable, if it is set.
    fn get(&self, name: &str) -> Option<String>;
}

/// The environment of this process.
#[derive(Clone, Copy, Debug)]
pub struct Environment;

impl Variables for Environment {
    #[expect(clippy::disallowed_methods, reason = "the scheduler tells a task its number in no other way")]
    fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// What was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placing {
    /// This part.
    Given(Shard),
    /// The part that the scheduler says, of as many as it says.
    Auto,
    /// The part that the scheduler says, counted from 0, of so many.
    AutoOf(u32),
}

impl FromStr for Placing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("auto") {
            None => text.parse().map(Self::Given),
            Some("") => Ok(Self::Auto),
            Some(of) => {
                let of = of.strip_prefix('/').and_then(|of| of.parse().ok()).filter(|of| *of > 0);
                of.map(Self::AutoOf).ok_or_else(|| "expected I/N, auto or auto/N".into())
            }
        }
    }
}

/// What is wrong, and how to put it right.
pub type Problem = (String, Option<String>);

impl Placing {
    /// The part.
    ///
    /// # Errors
    /// If the variables do not say.
    pub fn resolve(self, variables: &dyn Variables) -> Result<Shard, Problem> {
        match self {
            Self::Given(shard) => Ok(shard),
            Self::AutoOf(of) => {
                let (name, index) = index(variables)?;
                from_zero(name, index, of)
            }
            Self::Auto => match index(variables)? {
                (SLURM, id) => slurm(variables, id),
                (BATCH, index) => match number(variables, "AWS_BATCH_JOB_ARRAY_SIZE")? {
                    Some(of) => from_zero(BATCH, index, of),
                    None => Err(how_many(BATCH)),
                },
                (name, _) => Err(how_many(name)),
            },
        }
    }
}

const SLURM: &str = "SLURM_ARRAY_TASK_ID";
const BATCH: &str = "AWS_BATCH_JOB_ARRAY_INDEX";
const KUBERNETES: &str = "JOB_COMPLETION_INDEX";

/// The index variable that is set.
fn index(variables: &dyn Variables) -> Result<(&'static str, u32), Problem> {
    let mut found = None;
    for name in [SLURM, BATCH, KUBERNETES] {
        let Some(value) = number(variables, name)? else { continue };
        if let Some((other, _)) = found {
            return Err((format!("both {other} and {name} are set"), Some("--shard I/N says which is meant".into())));
        }
        found = Some((name, value));
    }
    found.ok_or_else(|| {
        (
            format!("no scheduler says which shard this is: none of {SLURM}, {BATCH} and {KUBERNETES} is set"),
            Some("--shard I/N says it".into()),
        )
    })
}

fn number(variables: &dyn Variables, name: &str) -> Result<Option<u32>, Problem> {
    let read = |text: String| text.parse().map_err(|_| (format!("{name} is {text:?}, which is no number"), None));
    variables.get(name).map(read).transpose()
}

fn how_many(name: &str) -> Problem {
    (format!("{name} is set, but nothing says how many shards there are"), Some("--shard auto/N says it".into()))
}

fn from_zero(name: &str, index: u32, of: u32) -> Result<Shard, Problem> {
    if index >= of {
        return Err((format!("{name} is {index}, but {of} shards are numbered from 0 to {}", of - 1), None));
    }
    Shard::new(index + 1, of).map_err(|what| (what, None))
}

/// An array from `MIN` in steps, of which `COUNT` tasks were submitted. An array with holes has other numbers, and so has a
/// resubmission of some tasks of one.
fn slurm(variables: &dyn Variables, id: u32) -> Result<Shard, Problem> {
    let of = number(variables, "SLURM_ARRAY_TASK_COUNT")?.ok_or_else(|| how_many(SLURM))?;
    let min = number(variables, "SLURM_ARRAY_TASK_MIN")?.unwrap_or(0);
    let step = number(variables, "SLURM_ARRAY_TASK_STEP")?.filter(|step| *step > 0).unwrap_or(1);
    let nth = id.checked_sub(min).filter(|above| above % step == 0).map(|above| above / step);
    nth.and_then(|nth| Shard::new(nth.checked_add(1)?, of).ok()).ok_or_else(|| {
        (
            format!(
                "{SLURM} is {id}, but {of} tasks from {min} in steps of {step} do not reach it: the array has holes"
            ),
            Some("submit --array=0-(N-1), and do single tasks again with --shard auto/N".into()),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Variables for &[(&str, &str)] {
        fn get(&self, name: &str) -> Option<String> {
            self.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        }
    }

    fn resolved(typed: &str, variables: &[(&str, &str)]) -> Result<String, String> {
        let placing: Placing = typed.parse().unwrap();
        placing.resolve(&variables).map(|shard| shard.to_string()).map_err(|(what, _)| what)
    }

    #[test]
    fn schedulers_are_understood() {
        let slurm = |id, min, count, step| {
            [
                ("SLURM_ARRAY_TASK_ID", id),
                ("SLURM_ARRAY_TASK_MIN", min),
                ("SLURM_ARRAY_TASK_COUNT", count),
                ("SLURM_ARRAY_TASK_STEP", step),
            ]
        };
        assert_eq!(resolved("auto", &slurm("0", "0", "16", "1")), Ok("1/16".into()));
        assert_eq!(resolved("auto", &slurm("16", "1", "16", "1")), Ok("16/16".into()));
        assert_eq!(resolved("auto", &slurm("9", "1", "4", "4")), Ok("3/4".into()));
        // --array=3 of what was 0-15: without a number it would be a study of its own.
        assert_eq!(resolved("auto/16", &slurm("3", "3", "1", "1")), Ok("4/16".into()));
        let batch = [("AWS_BATCH_JOB_ARRAY_INDEX", "7"), ("AWS_BATCH_JOB_ARRAY_SIZE", "8")];
        assert_eq!(resolved("auto", &batch), Ok("8/8".into()));
        assert_eq!(resolved("auto/10", &batch[..1]), Ok("8/10".into()));
        assert_eq!(resolved("auto/4", &[("JOB_COMPLETION_INDEX", "0")]), Ok("1/4".into()));
        assert_eq!(resolved("2/4", &[("JOB_COMPLETION_INDEX", "0")]), Ok("2/4".into()), "what is typed is stronger");
    }

    #[test]
    fn what_nobody_says_is_asked_for() {
        let says = |typed, variables: &[(&str, &str)], word: &str| {
            let why = resolved(typed, variables).unwrap_err();
            assert!(why.contains(word), "{why}");
        };
        says("auto", &[], "none of SLURM_ARRAY_TASK_ID");
        says("auto", &[("JOB_COMPLETION_INDEX", "0")], "how many");
        says("auto", &[("AWS_BATCH_JOB_ARRAY_INDEX", "0")], "how many");
        says("auto", &[("JOB_COMPLETION_INDEX", "zero")], "no number");
        says("auto/4", &[("JOB_COMPLETION_INDEX", "4")], "from 0 to 3");
        says("auto", &[("SLURM_ARRAY_TASK_ID", "9"), ("SLURM_ARRAY_TASK_COUNT", "3")], "holes");
        says("auto/4", &[("JOB_COMPLETION_INDEX", "0"), ("SLURM_ARRAY_TASK_ID", "0")], "both");
        for wrong in ["auto/0", "auto/x", "automatic", "4", "0/3"] {
            assert!(wrong.parse::<Placing>().is_err(), "{wrong}");
        }
    }
}
