//! The directory of an answer, whole or not at all.
//!
//! Files are written into a hidden neighbour of the directory that was asked for. When all are complete, one rename puts
//! it into place; a failure, a bug or Ctrl-C leaves the place as it was. A directory that holds nothing but files which
//! this module writes is an earlier answer and is replaced. Any other is refused before the run begins, because
//! replacing it would delete what is not ours.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use sim_scenarios::report::bgp_log::BGP_STREAM;
use sim_scenarios::report::tunnel_log::IKE_STREAM;
use sim_scenarios::report::{Outcome, markdown, timeline};
use sim_scenarios::telemetry::FlowLog;

use crate::failure::Failure;
use crate::picture;

/// The report as JSON.
pub const REPORT_JSON: &str = "report.json";
/// The report as Markdown.
pub const REPORT_MD: &str = "report.md";
/// The report as a page.
pub const REPORT_HTML: &str = "report.html";
/// The report as a picture.
pub const TIMELINE: &str = "timeline.svg";
/// The same for places that show no SVG.
pub const TIMELINE_PNG: &str = "timeline.png";
/// The trace's kept records, one JSON object a line.
pub const EVENTS: &str = "events.jsonl";
/// IKE keys in the format of Wireshark's preference of this name.
pub const IKEV2_KEYS: &str = "ikev2_decryption_table";
/// Keys of IKEv1.
pub const IKEV1_KEYS: &str = "ikev1_decryption_table";
/// ESP keys in the format of Wireshark's preference of this name.
pub const ESP_KEYS: &str = "esp_sa";
/// Datapoints of CloudWatch, in the JSON format of metric streams.
pub const METRICS: &str = "metrics.jsonl";
/// What SNS delivers.
pub const NOTIFICATIONS: &str = "notifications.jsonl";
/// Events of AWS Health.
pub const HEALTH: &str = "health.jsonl";
/// Calls of the API.
pub const CLOUDTRAIL: &str = "cloudtrail.jsonl";
/// Configuration items.
pub const CONFIG: &str = "config.jsonl";
/// Extension of a link's capture.
pub const CAPTURE: &str = "pcapng";

/// An answer under construction.
#[derive(Debug)]
pub struct OutputDirectory {
    target: PathBuf,
    partial: tempfile::TempDir,
}

impl OutputDirectory {
    /// Prepares a neighbour of `target`, whose parent must exist.
    pub fn prepare(target: &Path) -> Result<Self, Failure> {
        let target = resolve(target).map_err(|error| Failure::undeliverable(target, &error))?;
        refuse_what_is_not_ours(&target)?;
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(refusal(&target, "it is the root of the file system"));
        };
        let partial = tempfile::Builder::new()
            .prefix(&format!(".{}.partial-", name.to_string_lossy()))
            .tempdir_in(parent)
            .map_err(|error| Failure::undeliverable(&target, &error))?;
        Ok(Self { target, partial })
    }

    /// Where a file of the answer will be.
    pub fn place(&self, name: &str) -> PathBuf {
        self.target.join(name)
    }

    /// A new file of the answer, to be written while the world runs.
    pub fn create(&self, name: &str) -> Result<BufWriter<File>, Failure> {
        File::create(self.partial.path().join(name))
            .map(BufWriter::new)
            .map_err(|error| Failure::undeliverable(&self.place(name), &error))
    }

    /// Writes the report in all its forms, of which the page is made already.
    pub fn report(&self, outcome: &Outcome, page: &str) -> Result<(), Failure> {
        let timeline = timeline::render(outcome);
        let png = picture::of(&timeline, &self.place(TIMELINE_PNG))?;
        for (name, octets) in [
            (REPORT_JSON, outcome.report.to_json().as_bytes()),
            (REPORT_MD, markdown::render(outcome).as_bytes()),
            (REPORT_HTML, page.as_bytes()),
            (TIMELINE, timeline.as_bytes()),
            (TIMELINE_PNG, &png),
        ] {
            let mut file = self.create(name)?;
            file.write_all(octets)
                .and_then(|()| file.flush())
                .map_err(|error| Failure::undeliverable(&self.place(name), &error))?;
        }
        Ok(())
    }

    /// Writes what AWS would log about each tunnel and its BGP session, a file for each log stream.
    pub fn logs(&self, outcome: &Outcome) -> Result<(), Failure> {
        let ike = outcome.detail.logs.iter().map(|log| (&log.stream, log.text()));
        let bgp = outcome.detail.bgp_logs.iter().map(|log| (&log.stream, log.text()));
        for (stream, text) in ike.chain(bgp) {
            let mut file = self.create(stream)?;
            file.write_all(text.as_bytes())
                .and_then(|()| file.flush())
                .map_err(|error| Failure::undeliverable(&self.place(stream), &error))?;
        }
        Ok(())
    }

    /// Writes what CloudWatch, SNS, Health, CloudTrail and Config would have, and flow logs; a file that would be empty is not written.
    pub fn telemetry(&self, outcome: &Outcome) -> Result<(), Failure> {
        let seen = &outcome.detail.telemetry;
        let all = [
            (METRICS, &seen.metrics()),
            (NOTIFICATIONS, &seen.notifications),
            (HEALTH, &seen.health),
            (CLOUDTRAIL, &seen.cloudtrail),
            (CONFIG, &seen.config),
        ];
        let all = all.into_iter().map(|(name, text)| (name.to_owned(), text.clone()));
        let flow_logs = seen.flow_logs.iter().map(|log| (plain(&log.name) + FlowLog::FILE, log.text()));
        for (name, text) in all.chain(flow_logs).filter(|(_, text)| !text.is_empty()) {
            let mut file = self.create(&name)?;
            file.write_all(text.as_bytes())
                .and_then(|()| file.flush())
                .map_err(|error| Failure::undeliverable(&self.place(&name), &error))?;
        }
        Ok(())
    }

    /// Puts the answer into place and returns where that is.
    pub fn deliver(self) -> Result<PathBuf, Failure> {
        let Self { target, partial } = self;
        let failed = |error: io::Error| Failure::undeliverable(&target, &error);
        open_to_readers(partial.path()).map_err(failed)?;
        if !target.exists() {
            fs::rename(partial.keep(), &target).map_err(failed)?;
            return Ok(target);
        }
        // Somebody may have put a file of his own there meanwhile.
        refuse_what_is_not_ours(&target)?;
        let parent = target.parent().unwrap_or(Path::new("."));
        let aside = tempfile::Builder::new().prefix(".vpnsim-old-").tempdir_in(parent).map_err(failed)?;
        let old = aside.path().join("old");
        fs::rename(&target, &old).map_err(failed)?;
        let partial = partial.keep();
        if let Err(error) = fs::rename(&partial, &target) {
            // Back to the state before; if that fails too, the first error says why.
            let _ = fs::rename(&old, &target);
            let _ = fs::remove_dir_all(&partial);
            return Err(failed(error));
        }
        Ok(target)
    }
}

/// The target with its parent resolved, so that `.`, `..` and links have a name and a neighbourhood.
fn resolve(target: &Path) -> io::Result<PathBuf> {
    if target.exists() {
        return target.canonicalize();
    }
    let parent = target.parent().filter(|p| !p.as_os_str().is_empty());
    let name = target.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    Ok(parent.unwrap_or(Path::new(".")).canonicalize()?.join(name))
}

fn refuse_what_is_not_ours(target: &Path) -> Result<(), Failure> {
    if !target.exists() {
        return Ok(());
    }
    if !target.is_dir() {
        return Err(refusal(target, "it is a file, not a directory"));
    }
    let failed = |error: io::Error| Failure::undeliverable(target, &error);
    let mut names = Vec::new();
    for entry in fs::read_dir(target).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.file_type().map_err(failed)?.is_file() || !is_ours(&entry.file_name()) {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    match names.iter().min() {
        None => Ok(()),
        Some(name) => Err(refusal(target, &format!("it holds {name}, which no answer of vpnsim does"))),
    }
}

fn refusal(target: &Path, reason: &str) -> Failure {
    Failure::Undeliverable {
        path: target.display().to_string(),
        reason: reason.into(),
        help: Some("name a new or empty directory, or one with an earlier answer".into()),
    }
}

fn is_ours(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else {
        return false;
    };
    [REPORT_JSON, REPORT_MD, REPORT_HTML, TIMELINE, TIMELINE_PNG, EVENTS].contains(&name)
        || [IKEV2_KEYS, IKEV1_KEYS, ESP_KEYS].contains(&name)
        || [METRICS, NOTIFICATIONS, HEALTH, CLOUDTRAIL, CONFIG].contains(&name)
        || Path::new(name).extension() == Some(OsStr::new(CAPTURE))
        || [IKE_STREAM, BGP_STREAM, FlowLog::FILE].iter().any(|end| name.ends_with(end))
}

/// The name of a link's capture: what is neither letter, digit nor dash becomes an underscore.
pub fn capture_name(link: &str) -> String {
    format!("{}.{CAPTURE}", plain(link))
}

/// A name as it can stand in a file's.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || c == '-' { c } else { '_' }).collect()
}

/// A temporary directory is private; an answer is as public as the process's other files. Its keys are simulated.
#[cfg(unix)]
fn open_to_readers(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    // A directory made the ordinary way shows what the umask leaves of 0777.
    let probe = directory.join("umask");
    fs::create_dir(&probe)?;
    let mode = fs::metadata(&probe)?.permissions().mode();
    fs::remove_dir(&probe)?;
    fs::set_permissions(directory, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn open_to_readers(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(directory).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn write(out: &OutputDirectory, name: &str, text: &str) {
        let mut file = out.create(name).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.flush().unwrap();
    }

    #[test]
    fn nothing_is_there_until_all_is_there() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("answer");
        let out = OutputDirectory::prepare(&target).unwrap();
        write(&out, EVENTS, "{}\n");
        assert!(!target.exists());
        drop(out);
        assert_eq!(names(home.path()), [""; 0], "an abandoned answer leaves nothing");

        let out = OutputDirectory::prepare(&target).unwrap();
        write(&out, EVENTS, "{}\n");
        out.deliver().unwrap();
        assert_eq!(names(home.path()), ["answer"]);
        assert_eq!(names(&target), [EVENTS]);
    }

    #[test]
    fn an_earlier_answer_is_replaced_as_a_whole() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("answer");
        fs::create_dir(&target).unwrap();
        fs::write(target.join("path-a.pcapng"), "old").unwrap();
        fs::write(target.join(EVENTS), "old").unwrap();
        fs::write(target.join("vpn_198.51.100.10-IKE.log"), "old").unwrap();
        fs::write(target.join("vpn_198.51.100.10-BGP.log"), "old").unwrap();
        let out = OutputDirectory::prepare(&target).unwrap();
        write(&out, EVENTS, "new");
        out.deliver().unwrap();
        assert_eq!(names(&target), [EVENTS], "the old capture does not survive");
        assert_eq!(fs::read_to_string(target.join(EVENTS)).unwrap(), "new");
        assert_eq!(names(home.path()), ["answer"]);
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("thesis.tex"), "years").unwrap();
        let error = OutputDirectory::prepare(home.path()).unwrap_err().to_string();
        assert!(error.contains("thesis.tex"), "{error}");

        let file = home.path().join("thesis.tex");
        assert!(OutputDirectory::prepare(&file).unwrap_err().to_string().contains("is a file"));
        assert!(OutputDirectory::prepare(Path::new("/")).is_err());

        let late = home.path().join("late");
        let out = OutputDirectory::prepare(&late).unwrap();
        fs::create_dir(&late).unwrap();
        fs::write(late.join("notes"), "mine").unwrap();
        assert!(out.deliver().is_err());
        assert_eq!(names(&late), ["notes"]);
        assert_eq!(names(home.path()), ["late", "thesis.tex"]);
    }

    #[test]
    fn a_link_cannot_lead_its_capture_astray() {
        assert_eq!(capture_name("../path a/b"), "___path_a_b.pcapng");
        assert_eq!(capture_name("path-a"), "path-a.pcapng");
    }
}
