//! The page on live mode is run: its commands, its FRR configuration, and the job that it proposes for CI.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;

use crate::call;
use crate::live::{APP, OFFICE, Program};
use crate::network::isolated;
use crate::process::{Daemon, Outcome, command, expect, run, run_line, wait_for};
use crate::strongswan::{OURS, StrongSwan};

const PAGE: &str = include_str!("../../../scenarios/endpoint_in_a_box.md");
const BOX: &str = include_str!("../../../scenarios/endpoint_in_a_box.ron");

/// The page's block of indented lines that begins with `first`, without the indentation.
fn block(first: &str) -> Outcome<String> {
    let lines = PAGE.lines().skip_while(|line| line.strip_prefix("    ") != Some(first));
    let block = lines.map_while(|line| line.strip_prefix("    ").or(line.is_empty().then_some("")));
    let text = block.fold(String::new(), |text, line| text + line + "\n");
    if text.is_empty() { Err(format!("the page has no block that begins with {first:?}")) } else { Ok(text) }
}

/// The page's commands of `vpnsim`, with continued lines joined, and without what stands beside them for the reader.
fn commands() -> Vec<String> {
    let joined = PAGE.replace("\\\n", " ");
    let lines = joined.lines().filter_map(|line| line.strip_prefix("    "));
    let lines = lines.map(|line| line.trim_start_matches("sudo ").trim());
    let told = |line: &str| line.split("      ").find(|part| !part.is_empty()).unwrap_or_default().to_owned();
    // A continuation is indented: its words belong to the command.
    let whole = |line: &str| {
        let words: Vec<&str> = line.split("         ").collect();
        match words[..] {
            [command, more, ..] if more.trim_start().starts_with("--") => {
                format!("{command} {}", told(more.trim_start()))
            }
            _ => told(line),
        }
    };
    lines.filter(|line| line.starts_with("vpnsim ")).map(whole).collect()
}

/// A shell in which the page's commands mean what they mean to its reader: `vpnsim` is this program, and `sudo` is not needed.
struct Shell {
    dir: TempDir,
}

impl Shell {
    fn new() -> Outcome<Self> {
        let shell = Self { dir: tempfile::tempdir().map_err(|e| e.to_string())? };
        shell.write("scenarios/endpoint_in_a_box.ron", BOX)?;
        shell.program("sudo", "exec \"$@\"")?;
        shell.program("vpnsim", &format!("exec {} \"$@\"", assert_cmd::cargo::cargo_bin("vpnsim").display()))?;
        Ok(shell)
    }

    fn write(&self, name: &str, text: &str) -> Outcome {
        let file = self.dir.path().join(name);
        let made = std::fs::create_dir_all(file.parent().unwrap_or(Path::new(".")));
        made.and_then(|()| std::fs::write(&file, text)).map_err(|e| format!("{}: {e}", file.display()))
    }

    fn program(&self, name: &str, script: &str) -> Outcome {
        let name = format!("bin/{name}");
        self.write(&name, &format!("#!/bin/sh\n{script}\n"))?;
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.dir.path().join(name), mode).map_err(|e| e.to_string())
    }

    /// A shell that ends at the first failure, as GitHub's does. Namespaces that it names are in a place of its own.
    fn command(&self, script: &str) -> std::process::Command {
        let mut command = command("unshare --mount bash -e -c");
        let script = format!("mkdir -p /run/netns\nmount -t tmpfs netns /run/netns\n{script}");
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.dir.path().join("bin").display());
        command.arg(script).env("PATH", path).current_dir(self.dir.path());
        command
    }

    fn run(&self, script: &str) -> Outcome<String> {
        run(&mut self.command(script))
    }
}

/// Each command with the scenario of the page: what simulates or exports succeeds, and what is live opens its sockets and
/// devices, and ends after a second with the answer that nothing was established.
#[test]
fn every_command_of_the_page_is_understood() {
    isolated("page::every_command_of_the_page_is_understood", || {
        for address in ["192.0.2.1", "192.0.2.2"] {
            run_line(&format!("ip address add {address}/32 dev lo"))?;
        }
        let shell = Shell::new()?;
        let mut kinds = [0; 3];
        for line in commands() {
            if line.contains(" my.ron") || line.contains(" box.ron") || line.contains("--replay") {
                continue;
            }
            if line.starts_with("vpnsim live ") {
                kinds[0] += 1;
                let done = shell.command(&format!("{line} --duration 1s")).stdin(Stdio::null()).output();
                let done = done.map_err(|e| e.to_string())?;
                let said = String::from_utf8_lossy(&done.stderr);
                if !matches!(done.status.code(), Some(0 | 1)) {
                    return Err(format!("{line}: {}\n{said}", done.status));
                }
            } else if let Some((exported, file)) = line.split_once(" --out /etc/") {
                kinds[1] += 1;
                let out = shell.dir.path().join("etc").join(file.trim());
                std::fs::create_dir_all(out.parent().unwrap_or(&out)).map_err(|e| e.to_string())?;
                shell.run(&format!("{exported} --out {}", out.display()))?;
            } else {
                kinds[2] += 1;
                shell.run(&line)?;
            }
        }
        // Three live runs, two exports and a simulated run, so that none goes unread if the page is laid out anew.
        let [live, exports, runs] = kinds;
        if live < 3 || exports < 2 || runs < 1 {
            return Err(format!("{kinds:?} commands were read in\n{:#?}", commands()));
        }
        Ok(())
    });
}

/// FRR's daemons.
struct Frr {
    _daemons: Vec<Daemon>,
    dir: TempDir,
    place: Box<dyn Fn(&str) -> String>,
}

impl Frr {
    fn start(config: &str, place: impl Fn(&str) -> String + 'static) -> Outcome<Self> {
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        let home = dir.path().display().to_string();
        // The daemons give up being root.
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(dir.path(), mode).map_err(|e| e.to_string())?;
        run_line(&format!("install -d -o frr -g frrvty -m 775 {home}/run"))?;
        let mut daemons = Vec::new();
        for name in ["zebra", "staticd", "bgpd"] {
            let run = format!("{home}/run");
            let line = format!(
                "/usr/lib/frr/{name} --vty_socket {run} -z {run}/zserv -i {run}/{name}.pid --vty_port 0 --log stdout"
            );
            daemons.push(Daemon::start(&place(&line), &[], &dir.path().join(name))?);
            wait_for(name, || std::fs::metadata(format!("{run}/{name}.vty")).map(drop).map_err(|e| e.to_string()))?;
        }
        let frr = Self { _daemons: daemons, dir, place: Box::new(place) };
        let file = frr.dir.path().join("frr.conf");
        std::fs::write(&file, config).map_err(|e| e.to_string())?;
        frr.vtysh(&["-f", &file.to_string_lossy()])?;
        Ok(frr)
    }

    fn vtysh(&self, words: &[&str]) -> Outcome<String> {
        let sockets = self.dir.path().join("run");
        run(command(&(self.place)(&format!("vtysh --vty_socket {}", sockets.display()))).args(words))
    }
}

/// The page's FRR is the router of a site with strongSwan: the session comes up through the tunnel, each end learns the
/// other's prefix, and a ping crosses by those routes. The scenario is the page's, with the changes that the page asks for.
#[test]
fn frr_of_the_page_is_the_router_of_a_site() {
    isolated("page::frr_of_the_page_is_the_router_of_a_site", || {
        let config = block("router bgp 65010")?;
        // As they stand in the page's prose.
        let (_, after) = PAGE.split_once("\nWith `").ok_or("the page does not say how to choose BGP")?;
        let changes = after.split('`').next().unwrap_or_default().replace('\'', "");
        expect(&changes, &["--set connections.vpn.routing=Bgp()", "--set nodes.cgw.advertise="])?;

        let strongswan = StrongSwan::start([APP, OFFICE])?;
        let shell = Shell::new()?;
        shell.write("box.ron", BOX)?;
        let inside = strongswan.line("ip");
        run_line(&format!("{inside} route del {APP}/32"))?;
        run_line(&format!("{inside} address add 169.254.10.2/30 dev ipsec0"))?;
        let quiet = "--set expect={} --set control=[] --set faults={}";
        let mut program = Program::with(BOX, &format!("--listen {OURS} {changes} {quiet}"), str::to_owned)?;
        let quoted = changes.split(" --set ").map(|change| change.trim_start_matches("--set "));
        let quoted: String = quoted.map(|change| format!(" --set '{change}'")).collect();
        shell.run(&format!(
            "vpnsim export box.ron vpn --as swanctl --tunnel a --live --listen {OURS} {quoted} --out swanctl.conf"
        ))?;
        strongswan.load(&shell.dir.path().join("swanctl.conf"))?;
        wait_for("strongSwan's SAs", || expect(&strongswan.sas()?, &["ESTABLISHED, IKEv2", "INSTALLED"]))?;
        let place = strongswan.line("");
        let frr = Frr::start(&config, move |line| format!("{place}{line}"))?;
        let routed = || {
            wait_for("FRR's session", || {
                expect(&frr.vtysh(&["-c", "show bgp neighbors 169.254.10.1"])?, &["BGP state = Established"])
            })?;
            wait_for("the VPC's prefix in the site's table", || {
                expect(&run_line(&format!("{inside} route"))?, &["10.0.0.0/16", "via 169.254.10.1"])
            })?;
            run_line(&strongswan.line(&format!("ping -c 20 -i 0.05 -W 5 -I {OFFICE} {APP}"))).map(drop)
        };
        let report = routed().and_then(|()| program.end("INT"));
        let report = report.map_err(|e| format!("{e}\n--- strongSwan\n{}", strongswan.log()))?;
        expect(&report["sessions"].to_string(), &["\"bgp\"", r#""to":"established""#])
    });
}

/// The page's workflow: its `run:` steps, one after the other. The daemon that it starts is our own customer gateway.
#[test]
fn the_ci_job_of_the_page_runs() {
    isolated("page::the_ci_job_of_the_page_runs", || {
        let steps = steps(&block("- run: |")?);
        let shell = Shell::new()?;
        // As short as a handshake and the fault allow; the page's own `--duration` is longer than the scenario's.
        let scenario = include_str!("live.ron").replace("\"120s\"", "\"14s\"").replace("\"60s\"", "\"10s\"");
        shell.write("box.ron", &scenario)?;
        shell.write("call.ron", call::SCENARIO)?;
        let daemon = format!(
            "vpnsim live call.ron --external vgw --peer 192.0.2.1 {} >daemon.log 2>&1 </dev/null &",
            call::QUIET
        );
        shell.program("start-your-daemon", &daemon)?;
        std::fs::rename(shell.dir.path().join("bin/start-your-daemon"), shell.dir.path().join("start-your-daemon"))
            .map_err(|e| e.to_string())?;
        let [live, replay] = &steps[..] else { return Err(format!("not two steps: {steps:#?}")) };
        let lines = |part: &str| live.lines().filter(|line| line.contains(part)).count();
        if (lines("vpnsim live box.ron"), lines("./start-your-daemon")) != (1, 1) {
            return Err(format!("not what the page was read for:\n{live}"));
        }
        shell.run(live)?;
        let replayed = shell.run(replay)?;
        expect(&replayed, &["at AWS's end at", "All 2 expectations held"])?;
        // The artifact that the last step keeps.
        let report = std::fs::read_to_string(shell.dir.path().join("answer/report.md")).map_err(|e| e.to_string())?;
        expect(&report, &["expectations held"])
    });
}

/// The scripts of a workflow's steps, written as a literal block or on one line.
fn steps(workflow: &str) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    let mut inside = false;
    for line in workflow.lines() {
        if let Some(script) = line.strip_prefix("- run: ") {
            inside = script == "|";
            steps.push(if inside { String::new() } else { script.to_owned() });
        } else if let (true, Some(line), Some(step)) = (inside, line.strip_prefix("    "), steps.last_mut()) {
            step.push_str(line);
            step.push('\n');
        } else {
            inside = false;
        }
    }
    steps
}
