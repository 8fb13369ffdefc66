"""
A real SLURM cluster of one machine for a test: slurmctld and slurmd, until they are stopped.

Needs root and, on Debian, `apt-get install --no-install-recommends slurmctld slurmd slurm-client`.
All state lies in one folder; ports are free ones; nothing of the system's own SLURM is touched.
Processes of a job are found by their parents (no cgroups), and memory is checked by polling.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DAEMONS = ("slurmctld", "slurmd")
COMMANDS = ("srun", "sbatch", "squeue", "scancel", "sinfo", "scontrol", "sacct", "sacctmgr")
SECONDS_TO_START = 20

# CPUs are what is promised, not what is there; config_overrides makes slurmd accept that.
# sacct finds no accounts here, as on many clusters: jobs are followed by squeue.
CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
AuthType=auth/none
CredType=cred/none
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=1,batch_sched_delay=0
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/finished_jobs
MinJobAge=300
KillWait=2
ReturnToService=2
MailProg=/bin/true
MpiDefault=none
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=9000 Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=UNLIMITED State=UP
"""


@dataclass(frozen=True)
class Cluster:
    """A running cluster; its commands, found before the system's, lie in `folder`/bin."""

    folder: Path

    def run(self, command: str, *arguments: str) -> str:
        """Output of one of SLURM's commands."""
        return subprocess.run(
            [self.folder / "bin" / command, *arguments],
            check=True,
            capture_output=True,
            text=True,
            timeout=30,
        ).stdout

    def queue(self, folder: Path | None = None) -> list[str]:
        """Ids of jobs, of one folder or all, that wait or run; each task of an array by itself."""
        lines = self.run("squeue", "--noheader", "--array", "--format=%i %Z").splitlines()
        jobs = [line.split(maxsplit=1) for line in lines]
        return [job for job, place in jobs if folder in (None, Path(place))]

    def finished_jobs(self) -> list[dict[str, str]]:
        """What SLURM noted of every job that has ended: JobState, TimeLimit, Tres, and so on."""
        notes = self.folder / "finished_jobs"
        lines = notes.read_text(encoding="utf-8").splitlines() if notes.exists() else []
        return [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]


def missing() -> str | None:
    """Why no cluster can run here, and what to do; None where one can."""
    if not all(shutil.which(name) for name in (*DAEMONS, "srun", "sbatch", "squeue", "scancel")):
        return (
            "no SLURM here; on Debian, as root: "
            "apt-get install --no-install-recommends slurmctld slurmd slurm-client"
        )
    if os.geteuid() != 0:
        return "a SLURM cluster for the tests can be started by root only"
    return None


@contextlib.contextmanager
def running_cluster(folder: Path, cpus: int = 4) -> Iterator[Cluster]:
    """Start a cluster whose files lie in `folder`; stop it, and its jobs, at the end.

    Raises
    ------
    RuntimeError
        With what the daemons logged, where the node is not ready within SECONDS_TO_START.
    """
    cluster = Cluster(folder)
    _write_files(folder, cpus)
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    with contextlib.ExitStack() as daemons:
        for name in DAEMONS:
            process = subprocess.Popen(
                [_path_of(name), "-D"],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            daemons.callback(process.wait)
            daemons.callback(process.terminate)
        _wait_until_idle(cluster)
        try:
            yield cluster
        finally:
            _cancel_all(cluster)


def _write_files(folder: Path, cpus: int) -> None:
    for name in ("state", "spool", "bin"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    host = socket.gethostname().split(".")[0]
    controller_port, node_port = _free_ports(2)
    config = CONFIG.format(
        host=host,
        folder=folder,
        cpus=cpus,
        controller_port=controller_port,
        node_port=node_port,
    )
    (folder / "slurm.conf").write_text(config)
    # Plain files: SLURM hands them out and counts them as it does GPUs.
    gpus = [folder / f"gpu{number}" for number in range(2)]
    for gpu in gpus:
        gpu.touch()
    (folder / "gres.conf").write_text(
        "".join(f"NodeName={host} Name=gpu File={gpu}\n" for gpu in gpus)
    )
    (folder / "cgroup.conf").write_text("CgroupAutomount=no\n")
    # Inside a job Snakemake's plugin drops every SLURM_* variable but a few before it calls srun,
    # SLURM_CONF among them: so the commands must find their configuration without it.
    for name in COMMANDS:
        command = folder / "bin" / name
        command.write_text(
            f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {_path_of(name)} "$@"\n'
        )
        command.chmod(0o755)


def _path_of(name: str) -> str:
    return shutil.which(name) or f"/usr/bin/{name}"


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as sockets:
        bound = [sockets.enter_context(socket.socket()) for _ in range(number)]
        for each in bound:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in bound]


def _wait_until_idle(cluster: Cluster) -> None:
    end = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < end:
        with contextlib.suppress(subprocess.CalledProcessError):
            if cluster.run("sinfo", "--noheader", "--Node", "--format=%t").strip() == "idle":
                return
        time.sleep(0.1)
    logs = [
        "\n".join(path.read_text(errors="replace").splitlines()[-20:])
        for path in cluster.folder.glob("*.log")
    ]
    raise RuntimeError("the SLURM cluster did not come up:\n" + "\n".join(logs))


def _cancel_all(cluster: Cluster) -> None:
    """No process of a job outlives the cluster."""
    with contextlib.suppress(subprocess.CalledProcessError):
        cluster.run("scancel", "--partition=main")
        end = time.monotonic() + 10
        while cluster.queue() and time.monotonic() < end:
            time.sleep(0.1)
