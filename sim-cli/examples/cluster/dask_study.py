#!/usr/bin/env python3
"""A study on Dask: one task a shard, then one that merges the parts. Needs dask and distributed (PyPI).

    dask_study.py STUDY.ron DIR --shards 16                        on this machine
    dask_study.py STUDY.ron DIR --shards 16 --scheduler tcp://...  on a cluster that sees STUDY.ron and DIR

A shard that was interrupted goes on from its log in DIR. Dask spends some milliseconds on a task: let a shard have a
tenth of a second of runs or more.
"""

import argparse
import pathlib
import subprocess

from dask.distributed import Client, LocalCluster, as_completed


def command(vpnsim, study, *options):
    """Runs vpnsim; exit code 1 says that a run failed, which is a row like the others."""
    done = subprocess.run([vpnsim, "study", study, "--quiet", *options], capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"vpnsim ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--shards", type=int, default=16)
    parser.add_argument("--scheduler", help="address of a Dask scheduler; this machine if not given")
    parser.add_argument("--vpnsim", default="vpnsim")
    typed = parser.parse_args()
    study, out = str(typed.study.resolve()), str(typed.out.resolve())
    cluster = typed.scheduler or LocalCluster(threads_per_worker=1, dashboard_address=None)
    with Client(cluster) as client:
        shards = [
            client.submit(
                command, typed.vpnsim, study, "--shard", f"{number}/{typed.shards}", "--out", out, "--jobs", "1",
                pure=False, retries=2, key=f"shard-{number}-of-{typed.shards}",
            )
            for number in range(1, typed.shards + 1)
        ]
        for shard in as_completed(shards, raise_errors=True):
            shard.result()
    print(command(typed.vpnsim, study, "--merge", out, "--out", f"{out}/whole"), end="")


if __name__ == "__main__":
    main()
