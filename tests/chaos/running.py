"""A run of Snakemake that can be watched and killed."""

import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

from places import Result, environment

LIMIT = 900  # seconds that anything may take
ENDS_WITHIN = 300  # seconds in which jobs end after their run; first they import what they need


class Running:
    """Snakemake at work in a place; what it says goes to a file."""

    def __init__(self, place, said, *arguments):
        self.said = said
        with open(said, "w") as stream:
            self.process = subprocess.Popen(
                place.command(*arguments),
                cwd=place.folder,
                env=environment(),
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )

    @property
    def text(self):
        """What it has said."""
        return self.said.read_text()

    @property
    def started(self):
        """How many jobs it has started."""
        return len(re.findall(r"(?m)^Job \d+: ", self.text))

    @property
    def finished(self):
        """The rule of each job that it said is finished."""
        return re.findall(r"(?m)^Finished jobid: \d+ \(Rule: (\w+)\)", self.text)

    @property
    def planned(self):
        """Number of jobs by rule that it set out to do, `all` aside."""
        jobs = Result(0, self.text).jobs
        return {rule: count for rule, count in jobs.items() if rule != "all"}

    def jobs(self, whole=False):
        """The processes it started that still run: those of scripts, or all."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                state, _, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
                words = (folder / "cmdline").read_text().split("\0")
            except OSError:
                continue
            if int(session) == self.process.pid != int(folder.name) and state not in "ZX":
                script = "python" in words[0] and any("/.snakemake/scripts/" in w for w in words)
                if whole or script:
                    found.append(int(folder.name))
        return sorted(found)

    def wait(self, what, seconds=LIMIT):
        """Wait until `what` is true or the run has ended; whether it is true."""
        limit = time.monotonic() + seconds
        while not (found := what()) and self.process.poll() is None:
            if time.monotonic() > limit:
                return False
            time.sleep(0.02)
        return bool(found)

    def kill(self):
        """Kill Snakemake alone; its jobs end by themselves."""
        self.process.kill()
        self.process.wait()
        limit = time.monotonic() + ENDS_WITHIN
        while left := self.jobs(whole=True):
            assert time.monotonic() < limit, f"processes {left} go on without their run"
            time.sleep(0.05)

    def kill_job(self, chance: random.Random):
        """Kill one of its jobs, and wait for Snakemake to end in its own way."""
        while self.wait(self.jobs):
            for one in chance.sample(self.jobs(), k=1):
                os.kill(one, signal.SIGKILL)
            if self.wait(lambda: "Error in rule" in self.text, 30):
                break
        self.process.wait(LIMIT)
