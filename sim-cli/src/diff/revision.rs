//! A scenario as it is in a file, or as git has it at a revision: `git cat-file` is asked, so whatever names a revision to git does so here.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::engine::Question;
use crate::failure::Failure;
use crate::job;

/// Two revisions of one file: `REVISION..REVISION` and the file. A side that is left out is HEAD, as with git.
pub fn span<'a>(first: &'a str, second: Option<&'a str>) -> Result<Option<(&'a str, &'a str, &'a str)>, Failure> {
    let Some((from, to)) = first.split_once("..").filter(|_| !Path::new(first).exists() && !first.contains([':', '/']))
    else {
        return Ok(None);
    };
    let Some(path) = second else {
        return Err(Failure::CannotDiff {
            what: format!("`{first}` names two revisions, but no file"),
            help: Some(format!("vpnsim diff {first} scenarios/NAME.ron")),
        });
    };
    let or_head = |name: &'a str| if name.is_empty() { "HEAD" } else { name };
    Ok(Some((or_head(from), or_head(to), path)))
}

/// A file; or else, if there is none of that name, a file of a revision.
pub fn read(name: &str) -> Result<Question, Failure> {
    match name.split_once(':') {
        Some((revision, path)) if !Path::new(name).exists() => {
            // Without `./` git counts a path from the root of the repository.
            let root = match path.starts_with("./") || path.starts_with("../") {
                true => PathBuf::new(),
                false => PathBuf::from(git(&["rev-parse", "--show-toplevel"], name)?.trim_end()),
            };
            at(name, revision, path, &root.join(path))
        }
        _ => job::read(Path::new(name)),
    }
}

/// A file of a revision, whose path counts from here.
pub fn read_beside(revision: &str, path: &str) -> Result<Question, Failure> {
    let name = format!("{revision}:{path}");
    let relative = if Path::new(path).is_absolute() || path.starts_with("./") || path.starts_with("../") {
        path.to_owned()
    } else {
        format!("./{path}")
    };
    at(&name, revision, &relative, Path::new(path))
}

/// What a revision has at this path. Files that it names are looked for beside `here`.
fn at(name: &str, revision: &str, path: &str, here: &Path) -> Result<Question, Failure> {
    // What begins with a dash would be an option.
    if revision.is_empty() || revision.starts_with('-') {
        let help = Some("a revision is what git calls one: HEAD~1, a branch, a tag, a commit".into());
        return Err(Failure::CannotDiff { what: format!("`{revision}` in `{name}` is no revision"), help });
    }
    let text = git(&["cat-file", "blob", &format!("{revision}:{path}")], name)?;
    let directory = here.parent().unwrap_or(Path::new("")).to_path_buf();
    Ok(Question { name: name.to_owned(), directory, text, changes: Vec::new() })
}

/// What git says, if it has it.
fn git(arguments: &[&str], name: &str) -> Result<String, Failure> {
    let said = Command::new("git").args(arguments).output().map_err(|error| Failure::CannotDiff {
        what: format!("cannot ask git for {name}: {}", crate::failure::plain_reason(&error)),
        help: Some("install git, or name two files".into()),
    })?;
    if !said.status.success() {
        let words = String::from_utf8_lossy(&said.stderr);
        let reason = words.trim().strip_prefix("fatal: ").unwrap_or(words.trim()).replace('\n', "; ");
        return Err(Failure::CannotDiff {
            what: format!("git does not have {name}: {reason}"),
            help: Some(
                "a file of a revision is REVISION:PATH, with PATH from the root of the repository, or ./PATH from here"
                    .into(),
            ),
        });
    }
    String::from_utf8(said.stdout).map_err(|_| Failure::CannotDiff {
        what: format!("{name} is no UTF-8 text"),
        help: Some("a scenario is UTF-8 text".into()),
    })
}
