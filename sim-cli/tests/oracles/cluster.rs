//! A study in shards on schedulers that are not ours: Slurm, on a cluster of one node in a scratch directory, and Dask. What comes of the
//! parts must be the bytes of the study in one piece.
//!
//! With `VPNSIM_FULL=1` for each number of shards from 1 to 16, otherwise for a few.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{Daemon, Outcome, asked_for, run, wait_for};

const VPNSIM: &str = env!("CARGO_BIN_EXE_vpnsim");
/// Where `.ci/packages` installs Dask.
const DASK: &str = "/usr/local/lib/vpnsim-dask/bin/python3";

/// Two hosts, a path that loses, and a point for each of three losses.
const SCENARIO: &str = r#"(
    version: 1, name: "two_hosts", question: "How many pings are lost?", duration: "60s", seed: 1,
    nodes: { "a": Host(address: "10.0.0.1/24"), "b": Host(address: "10.0.0.2/24") },
    links: { "wire": Link(between: ("a", "b"), delay: "5ms") },
    probes: { "ping": IcmpEcho(from: "a", to: "b", start: "0s", every: "100ms") },
)"#;
const STUDY: &str = r#"(
    version: 1, name: "pings", question: "How many pings are lost?", scenario: "two_hosts.ron",
    grid: { "loss": Values(paths: ["links.wire.loss"], values: ["0%", "1%", "10%"]) },
    draw: { "delay": Uniform(paths: ["links.wire.delay"], min: "1ms", max: "50ms") },
    runs: 7,
    metrics: { "lost": LostProbes(probe: "ping"), "time": RoundTripTime(probe: "ping", quantile: "p90") },
)"#;

fn error(path: &Path) -> impl FnOnce(std::io::Error) -> String {
    move |error| format!("{}: {error}", path.display())
}

/// The study in a directory, and its tables in one piece.
fn study(directory: &Path) -> Outcome<(PathBuf, Vec<u8>)> {
    let file = directory.join("pings.ron");
    fs::write(directory.join("two_hosts.ron"), SCENARIO).map_err(error(&file))?;
    fs::write(&file, STUDY).map_err(error(&file))?;
    let whole = directory.join("whole");
    run(Command::new(VPNSIM).arg("study").arg(&file).arg("--quiet").arg("--out").arg(&whole))?;
    let table = fs::read(whole.join("runs.csv")).map_err(error(&whole))?;
    Ok((file, table))
}

/// How many shards are tried.
#[allow(clippy::disallowed_methods, reason = "the gate of this test program")]
fn shards(few: &[u32]) -> Vec<u32> {
    if std::env::var_os("VPNSIM_FULL").is_some() { (1..=16).collect() } else { few.to_vec() }
}

/// The tables of parts that were merged must be the same.
fn same(what: &str, merged: &Path, table: &[u8]) -> Outcome {
    let found = fs::read(merged.join("runs.csv")).map_err(error(merged))?;
    if found == table { Ok(()) } else { Err(format!("{what}: not the table of the study in one piece")) }
}

fn adapter(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/cluster").join(name)
}

/// Slurm on this machine alone, with ports and files of its own.
struct Slurm {
    configuration: PathBuf,
    _daemons: [Daemon; 3],
}

impl Slurm {
    fn start(directory: &Path) -> Outcome<Self> {
        let here = directory.display();
        for name in ["state", "spool"] {
            fs::create_dir_all(directory.join(name)).map_err(error(directory))?;
        }
        let key = directory.join("munge.key");
        // It protects nothing: who can reach the socket may submit.
        fs::write(&key, [0x5a; 1024]).map_err(error(&key))?;
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).map_err(error(&key))?;
        let host = run(Command::new("hostname").arg("-s"))?;
        let host = host.trim();
        let configuration = directory.join("slurm.conf");
        let text = format!(
            "ClusterName=scratch\nSlurmctldHost={host}(127.0.0.1)\nAuthType=auth/munge\nAuthInfo=socket={here}/munge.socket\n\
             SlurmUser=root\nSlurmdUser=root\nSlurmctldPort=16817\nSlurmdPort=16818\nStateSaveLocation={here}/state\n\
             SlurmdSpoolDir={here}/spool\nSlurmctldPidFile={here}/slurmctld.pid\nSlurmdPidFile={here}/slurmd.pid\n\
             ProctrackType=proctrack/pgid\nTaskPlugin=task/none\nSelectType=select/cons_tres\nSelectTypeParameters=CR_Core\n\
             SchedulerType=sched/builtin\nSchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0\n\
             MpiDefault=none\nReturnToService=2\nJobAcctGatherType=jobacct_gather/none\n\
             AccountingStorageType=accounting_storage/none\nMailProg=/bin/true\n\
             NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN\nPartitionName=all Nodes={host} Default=YES State=UP\n"
        );
        fs::write(&configuration, text).map_err(error(&configuration))?;
        let variables = [("SLURM_CONF", configuration.as_path())];
        let munged = format!(
            "munged --force --foreground --key-file={here}/munge.key --socket={here}/munge.socket --pid-file={here}/munged.pid \
             --log-file={here}/munged.log --seed-file={here}/munge.seed"
        );
        let munged = Daemon::start(&munged, &[], &directory.join("munged.out"))?;
        wait_for("munged", || fs::metadata(directory.join("munge.socket")).map(drop).map_err(error(directory)))?;
        let controller = Daemon::start("slurmctld -D -i", &variables, &directory.join("slurmctld.out"))?;
        let node =
            Daemon::start(&format!("slurmd -D -f {here}/slurm.conf"), &variables, &directory.join("slurmd.out"))?;
        let slurm = Self { configuration, _daemons: [node, controller, munged] };
        wait_for("an idle node", || match run(slurm.command("sinfo").args(["--noheader", "--format=%T"]))? {
            states if states.trim() == "idle" => Ok(()),
            states => Err(states),
        })?;
        Ok(slurm)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("SLURM_CONF", &self.configuration);
        command
    }
}

/// Job arrays of several sizes, each task a shard, by the script that is shipped.
#[test]
fn parts_of_a_slurm_job_array_are_the_study() -> Outcome {
    if !asked_for("parts_of_a_slurm_job_array_are_the_study") {
        return Ok(());
    }
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (file, table) = study(directory.path())?;
    let slurm = Slurm::start(directory.path())?;
    for n in shards(&[1, 3]) {
        let parts = directory.path().join(format!("parts-{n}"));
        fs::create_dir(&parts).map_err(error(&parts))?;
        let array = format!("--array=1-{n}");
        let output = format!("--output={}/%a.out", parts.display());
        let mut sbatch = slurm.command("sbatch");
        sbatch.args(["--wait", "--parsable", &array, &output]).arg(adapter("slurm.sbatch")).arg(&file).arg(&parts);
        run(sbatch.env("VPNSIM", VPNSIM))?;
        let merged = directory.path().join(format!("merged-{n}"));
        run(Command::new(VPNSIM)
            .args(["study", "--quiet"])
            .arg(&file)
            .arg("--merge")
            .arg(&parts)
            .arg("--out")
            .arg(&merged))?;
        same(&format!("{n} tasks of Slurm"), &merged, &table)?;
    }
    Ok(())
}

/// The script that is shipped, with several numbers of shards.
#[test]
fn parts_of_dask_are_the_study() -> Outcome {
    if !asked_for("parts_of_dask_are_the_study") {
        return Ok(());
    }
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (file, table) = study(directory.path())?;
    for n in shards(&[4]) {
        let parts = directory.path().join(format!("parts-{n}"));
        let mut dask = Command::new(DASK);
        dask.arg(adapter("dask_study.py")).arg(&file).arg(&parts).args([
            "--shards",
            &n.to_string(),
            "--vpnsim",
            VPNSIM,
        ]);
        run(&mut dask)?;
        same(&format!("{n} tasks of Dask"), &parts.join("whole"), &table)?;
    }
    Ok(())
}
