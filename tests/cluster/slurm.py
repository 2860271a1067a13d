"""A Slurm of two nodes on this machine, from Debian's packages, for as long as tests need it.

It listens on the loopback interface alone, has no accounting, and believes in two GPUs per node,
which are other names of /dev/null. Slurm's own tools find it by `/etc/slurm/slurm.conf`.
"""

import os
import shutil
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path

CONFIG = Path("/etc/slurm")
MARK = "# Written by the tests of this workflow; removed when they end.\n"
CLUSTER = "netspace-tests"
NODES = {"n1": 17101, "n2": 17102}
TOOLS = ("slurmctld", "slurmd", "sbatch", "squeue", "srun", "scancel", "sinfo")
READY = 60  # seconds
UNIFIED = Path("/sys/fs/cgroup/cgroup.controllers").exists()  # control groups are of version 2
SLURM = """\
ClusterName={cluster}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=17100
SlurmUser=root
AuthType=auth/none
CredType=cred/none
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdPidFile={folder}/%n.pid
SlurmdLogFile={folder}/%n.log
SlurmdSpoolDir={folder}/%n
StateSaveLocation={folder}/state
SwitchType=switch/none
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=1
SlurmdParameters=config_overrides
SlurmdTimeout=15
MessageTimeout=5
KillWait=2
MinJobAge=900
ReturnToService=2
GresTypes=gpu
NodeName=DEFAULT CPUs=4 RealMemory=64000 Gres=gpu:2
NodeName={nodes} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports}
PartitionName=main Nodes={nodes} Default=YES LLN=YES MaxTime=600 State=UP
"""


def why_not() -> str | None:
    """What is in the way of a Slurm on this machine, or None."""
    if os.geteuid() != 0:
        return "bringing up Slurm takes root"
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        return f"Slurm is not installed ({', '.join(missing)}): apt-get install slurm-wlm"
    found = CONFIG / "slurm.conf"
    if found.exists() and not found.read_text().startswith(MARK):
        return f"{found} belongs to another Slurm"
    return None


class Slurm:
    """Two nodes, `n1` and `n2`, and a controller; each can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("state", *NODES):
            (folder / name).mkdir(parents=True)
        for gpu in ("gpu0", "gpu1"):
            os.mknod(folder / gpu, stat.S_IFCHR | 0o600, os.makedev(1, 3))
        self.files = {
            "slurm.conf": SLURM.format(
                cluster=CLUSTER,
                host=socket.gethostname().partition(".")[0],
                folder=folder,
                nodes=",".join(NODES),
                ports=",".join(map(str, NODES.values())),
            ),
            "gres.conf": f"Name=gpu File={folder}/gpu[0-1]\n",
            "cgroup.conf": f"{'IgnoreSystemd=yes' if UNIFIED else 'CgroupPlugin=cgroup/v1'}\n",
        }

    def start(self) -> None:
        """Write the configuration and start everything; what an earlier one left is ended."""
        self.stop()
        CONFIG.mkdir(exist_ok=True)
        for name, text in self.files.items():
            (CONFIG / name).write_text(MARK + text)
        self.start_controller()
        for node in NODES:
            self.start_node(node)
        self.wait(lambda: self.states() == dict.fromkeys(NODES, "idle"), "idle nodes")

    def stop(self) -> None:
        """End every process of this Slurm and of its jobs, and take its configuration away."""
        ours = [pid for pid in processes() if belongs(pid)]
        for pid in ours:
            kill(pid)
        self.wait(lambda: not any(Path(f"/proc/{pid}").exists() for pid in ours), "the end")
        for name in self.files:
            path = CONFIG / name
            if path.exists() and path.read_text().startswith(MARK):
                path.unlink()

    def start_controller(self) -> None:
        subprocess.run(["slurmctld"], check=True, env=own_environment())

    def kill_controller(self) -> None:
        kill(int((self.folder / "slurmctld.pid").read_text()))

    def start_node(self, name: str) -> None:
        subprocess.run(["slurmd", "-N", name], check=True, env=own_environment())

    def kill_node(self, name: str) -> None:
        """Kill a node's daemon; what its jobs run lives on, as behind a broken network."""
        kill(int((self.folder / f"{name}.pid").read_text()))

    def scancel(self, number: str) -> None:
        subprocess.run(["scancel", number], check=True)

    def signal(self, number: str, what: signal.Signals) -> None:
        """Send a signal to the step that a job runs; Slurm does not hear of it."""
        for pid in processes():
            if f"SLURM_JOB_ID={number}" in read(pid, "environ"):
                if any("/.snakemake/scripts/" in word for word in read(pid, "cmdline")):
                    os.kill(pid, what)

    def states(self) -> dict[str, str]:
        """The state of each node, as far as the controller says."""
        lines = ask("sinfo", "-h", "-N", "-o", "%N %T").splitlines()
        return {name: state for name, _, state in (line.partition(" ") for line in lines)}

    def jobs(self) -> list[str]:
        """The numbers of the jobs that wait or run."""
        return ask("squeue", "-h", "-o", "%i").split()

    def running(self, rule: str) -> dict[str, str]:
        """The number of each running job of a rule, and its node."""
        lines = ask("squeue", "-h", "-t", "R", "-o", "%i %N %k").splitlines()
        found = [line.split(" ", 2) for line in lines]
        return {number: node for number, node, comment in found if rule in comment}

    def wait(self, true, what: str, seconds: float = READY):
        """Wait until something holds; its value."""
        limit = time.monotonic() + seconds
        while not (value := true()):
            if time.monotonic() > limit:
                raise TimeoutError(f"no {what} within {seconds:.0f} s; {self.log()}")
            time.sleep(0.1)
        return value

    def log(self) -> str:
        """The last that the daemons said."""
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(f"{path.name}:\n{path.read_text()[-2000:]}" for path in logs)


def ask(*command: str) -> str:
    """What a tool of Slurm answers; nothing while there is no controller."""
    return subprocess.run(command, capture_output=True, text=True).stdout


def own_environment() -> dict[str, str]:
    """The environment, with the mark by which the processes of this Slurm are known."""
    return os.environ | {"NETSPACE_TESTS": CLUSTER}


def processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def read(pid: int, what: str) -> list[str]:
    """The words of `environ` or `cmdline` of a process; none if it has ended."""
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def belongs(pid: int) -> bool:
    """Whether a process is a daemon or a job of this Slurm."""
    marks = {f"NETSPACE_TESTS={CLUSTER}", f"SLURM_CLUSTER_NAME={CLUSTER}"}
    return not marks.isdisjoint(read(pid, "environ"))


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
