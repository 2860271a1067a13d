"""Whatever is killed at whatever moment, the documented commands lead to the same results."""

import os
import random
import subprocess
from collections import Counter
from contextlib import suppress

import pytest
from running import Running
from small import BY_OTHERS, ROUNDS, SMALL, digest, files, hidden

SEED = int(os.environ.get("CHAOS_SEED", "0"))
BEFORE = ("prepare_images", "preflight", "train_shard", "extract_shard", "catalogue", "teacher")
CHECKPOINT = "logs/multiarch/embedder/seed_0.checkpoint"


def test_every_file_takes_its_place_in_one_step(undisturbed):
    place, seen, _ = undisturbed
    own = {(how, path) for how, path in seen if path.split("/")[0] not in BY_OTHERS}
    moved = {path for how, path in own if how == "moved" and "/." not in path}
    written = {path.rpartition("/")[2] for how, path in own if how == "written"}
    assert written and all(name.startswith(".") for name in written)
    assert {"zoos/digits/catalogue.csv", "multiarch/retrieval.csv"} <= moved == set(files(place))
    assert not hidden(place)


class Chaos:
    """A study that is killed again and again; `told` says what happened to it."""

    def __init__(self, place, undisturbed, seed, folder):
        self.place, (self.whole, _, ended), self.folder = place, undisturbed, folder
        self.total = {rule: count for rule, count in ended.jobs.items() if rule != "all"}
        self.done, self.chance = Counter(), random.Random(seed)
        self.typical = seconds(ended) / sum(self.total.values())
        self.digests = {name: digest(path) for name, path in files(self.whole).items()}
        self.told, self.locked, self.refused = [f"seed {seed}"], False, False

    def start(self):
        """Start or go on, as the README says."""
        if self.locked and not self.refused:
            said = self.place.run("--cores", "2", *SMALL)
            assert said.code != 0 and "--unlock" in said.text and "Finished job" not in said.text
            self.refused = True
        if self.locked:
            assert self.place.run("--unlock", *SMALL).code == 0
            self.locked = False
        return Running(self.place, self.folder / f"said_{len(self.told)}", "--cores", "2", *SMALL)

    def disturb(self, victim, moment):
        """One round: wait until so many jobs began, or for the embedder, and kill."""
        running = self.start()
        if moment == "embedder":
            running.wait((self.place.results / CHECKPOINT).exists)
        else:
            running.wait(lambda: running.started >= max(1, moment - self.done.total()))
            pause = self.chance.random() * self.typical / 2
            if moment < sum(self.total.values()) - 2:  # the last jobs may be over before it is
                with suppress(subprocess.TimeoutExpired):
                    running.process.wait(pause)
        began = running.started
        assert running.process.poll() is None, f"{self.told}: too late\n{running.text[-3000:]}"
        if victim == "run":
            running.kill()
            self.locked = True
        else:
            running.kill_job(self.chance)
            assert running.process.returncode == 1
        self.told.append(f"{victim} killed at {moment}, {began} jobs after the start")
        self.look(running)

    def look(self, running):
        """What was finished is not planned again; what has its name is whole and right."""
        for rule, count in running.planned.items():
            assert count <= self.total[rule] - self.done[rule], f"{self.told}: {rule} done again"
        self.done.update(running.finished)
        for name, path in files(self.place).items():
            if not path.name.startswith("."):
                assert digest(path) == self.digests[name], f"{self.told}: {name}"

    def finish(self):
        """The last run, in peace."""
        running = self.start()
        assert running.process.wait() == 0, f"{self.told}\n{running.text[-5000:]}"
        self.look(running)


def seconds(ended):
    """Seconds that a run took by its own account."""
    hours, minutes, rest = ended.text.rpartition("Elapsed time: ")[2].split()[0].split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(rest)


@pytest.mark.parametrize("number", range(-(-ROUNDS // 4)))
def test_a_study_killed_again_and_again_has_the_same_digests(undisturbed, empty, tmp_path, number):
    chaos = Chaos(empty, undisturbed, 1000 * SEED + number, tmp_path)
    before, everything = sum(chaos.total[rule] for rule in BEFORE), sum(chaos.total.values())
    draw, victims = chaos.chance.randint, ["run", "run", "job", "job"]
    chaos.chance.shuffle(victims)
    moments = [draw(1, 3), draw(4, before), "embedder", draw(before + 2, everything)]
    for victim, moment in zip(victims, moments, strict=True):
        chaos.disturb(victim, moment)
    chaos.finish()
    print(*chaos.told, sep="\n")
    assert (
        "resumed after step" in (empty.results / "logs/multiarch/embedder/seed_0.log").read_text()
    )
    assert {name: digest(path) for name, path in files(empty).items()} == chaos.digests
    assert not hidden(empty) and not list(empty.results.rglob("*.checkpoint"))
