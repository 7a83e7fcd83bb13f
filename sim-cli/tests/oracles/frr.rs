//! FRR: zebra, and one more of its daemons.

use std::path::Path;

use tempfile::TempDir;

use crate::process::{Daemon, Outcome, command, run, run_line, wait_for};

/// A zebra and another daemon, with a configuration of its own.
pub struct Frr {
    /// The other daemon.
    pub daemon: Daemon,
    name: &'static str,
    line: String,
    _zebra: Daemon,
    dir: TempDir,
}

impl Frr {
    /// Starts `name` with this configuration, once zebra is there.
    pub fn start(name: &'static str, options: &str, config: &str) -> Outcome<Self> {
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        let path = dir.path().display();
        std::fs::write(dir.path().join("frr.conf"), config).map_err(|e| e.to_string())?;
        // FRR gives up root at once, and its files are then to be its own.
        run_line(&format!("chown -R frr:frr {path}"))?;
        let zebra = line(dir.path(), "zebra", "-f /dev/null");
        let zebra = Daemon::start(&zebra, &[], &dir.path().join("zebra.log"))?;
        wait_for("zebra", || exists(&dir.path().join("zserv.api")))?;
        let line = line(dir.path(), name, &format!("{options} -f {path}/frr.conf"));
        let daemon = Daemon::start(&line, &[], &dir.path().join("log"))?;
        let frr = Self { daemon, name, line, _zebra: zebra, dir };
        wait_for("vtysh", || frr.ask("show version"))?;
        Ok(frr)
    }

    /// Starts another of its daemons beside it, which needs no configuration.
    pub fn beside(&self, name: &str, options: &str) -> Outcome<Daemon> {
        let line = line(self.dir.path(), name, &format!("{options} -f /dev/null"));
        let daemon = Daemon::start(&line, &[], &self.dir.path().join(format!("{name}.log")))?;
        wait_for(name, || run(command(&self.vtysh_of(name)).args(["-c", "show version"])))?;
        Ok(daemon)
    }

    /// The daemon begins again after it was killed.
    pub fn begin_again(&mut self) -> Outcome {
        self.daemon = Daemon::start(&self.line, &[], &self.dir.path().join("log"))?;
        wait_for("vtysh", || self.ask("show version")).map(drop)
    }

    /// What it says to one command.
    pub fn ask(&self, what: &str) -> Outcome<String> {
        run(self.vtysh().args(["-c", what]))
    }

    /// Says these lines in the mode of configuration.
    pub fn configure(&self, lines: &[&str]) -> Outcome {
        let mut vtysh = self.vtysh();
        vtysh.args(["-c", "configure terminal"]);
        for line in lines {
            vtysh.args(["-c", line]);
        }
        run(&mut vtysh).map(drop)
    }

    fn vtysh(&self) -> std::process::Command {
        command(&self.vtysh_of(self.name))
    }

    fn vtysh_of(&self, name: &str) -> String {
        format!("vtysh --vty_socket {} -d {name}", self.dir.path().display())
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

/// How to call one of its daemons whose files are in `dir`, which the options call `@DIR@`.
fn line(dir: &Path, name: &str, options: &str) -> String {
    let path = dir.display();
    let common = format!("-u frr -g frr --vty_socket {path} -z {path}/zserv.api -i {path}/{name}.pid");
    format!("/usr/lib/frr/{name} {common} {}", options.replace("@DIR@", &path.to_string()))
}

fn exists(path: &Path) -> Outcome {
    if path.exists() { Ok(()) } else { Err(format!("no {}", path.display())) }
}
