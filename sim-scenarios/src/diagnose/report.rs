//! A diagnosis for people.

use super::{Cause, Diagnosis};

/// As lines of text.
pub fn text(diagnosis: &Diagnosis) -> String {
    if diagnosis.healthy {
        return "Healthy: nothing that an operator sees is wrong.\n".into();
    }
    let causes = diagnosis.causes.iter().map(cause).collect::<Vec<_>>().join("\n");
    let cured = diagnosis.causes.iter().all(|cause| cause.fix.is_some());
    let end = match cured {
        true => "\nWith these edits the scenario is healthy: it was run with them.\n",
        false => "\nWhat has no fix here was not cured by any edit that was tried.\n",
    };
    causes + end
}

fn cause(cause: &Cause) -> String {
    let mut lines = format!("{} ({})\n", cause.text, cause.class.code());
    for (n, seen) in cause.evidence.iter().enumerate() {
        lines += &format!("  {} {seen}\n", if n == 0 { "seen:" } else { "     " });
    }
    if let Some(fix) = &cause.fix {
        lines += &format!("  fix:  {}\n", fix.text);
        for edit in &fix.edits {
            lines += &format!("        --set '{edit}'\n");
        }
    }
    lines
}
