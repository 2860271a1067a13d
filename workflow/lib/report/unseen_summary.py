"""What the tables say of architectures that an embedder never saw a trained network of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from lib.evaluate.statistics import bootstrap_interval, bootstrap_pairs
from lib.report.style import interval, percent, points
from lib.report.summary import Verdict

METHODS = {
    "generated": (
        "Generated",
        "decoded from between two test networks of the extremes, by an embedder that never saw a "
        "trained network of this architecture",
    ),
    "all_four": (
        "Space of all architectures",
        "the same pairs and points in the study's own space, trained with all architectures",
    ),
    "trained": ("Trained", "the test networks of this architecture"),
    "constant": ("Mean latent, always", "one network: decoded from between the mean latents"),
    "distilled": (
        "Distilled from scratch",
        "fresh networks pulled to teacher and labels as generated ones are, in as many steps",
    ),
    "initialised": ("Initialised", "fresh networks, not trained"),
}
RIGHT, LOSS = 0.9, 0.03


@dataclass(frozen=True)
class Measured:
    """One method's networks of one left-out architecture, averaged over seeds.

    `right` and `accuracy` are means, `bounds` the 95 % interval of the accuracy, `alike` the mean
    agreement of its networks with each other.
    """

    left_out: str
    architecture: str
    method: str
    rows: pd.DataFrame
    right: float
    accuracy: float
    bounds: tuple[float, float]
    alike: float


def measure(frame: pd.DataFrame) -> list[Measured]:
    """All methods, by set left out and architecture in the order of the file, `generated` first.

    Intervals come from drawing networks, not pairs, again and again.
    """
    frame = frame.assign(right=frame["predicted_architecture"] == frame["architecture"])
    values = ["right", "accuracy", "agreement_other"]
    found = []
    for (left_out, name), part in frame.groupby(["left_out", "architecture"], sort=False):
        for method in METHODS:
            some = part[part["method"] == method].groupby("pair", sort=False)[values].mean()
            if some.empty:
                continue
            names = left_out, name, method
            pairs = some.index.str.partition(":").to_frame()
            if (pairs[1] == ":").all():
                _, *bounds = bootstrap_pairs(pairs[0], pairs[2], some["accuracy"], *names)
            else:
                _, *bounds = bootstrap_interval(some["accuracy"], *names)
            right, accuracy, alike = some.mean()
            found.append(
                Measured(*names, some.reset_index(), right, accuracy, tuple(bounds), alike)
            )
    return found


def verdicts(frame: pd.DataFrame) -> list[Verdict]:
    """The two goals for what the embedder never saw."""
    found = measure(frame)
    made = [one for one in found if one.method == "generated"]
    gaps = {id(one): one.accuracy - beside(found, one, "trained").accuracy for one in made}
    several = len({one.left_out for one in made}) > 1

    def named(one: Measured) -> str:
        return one.architecture + (f" (without {words(one.left_out)})" if several else "")

    return [
        Verdict(
            _state(min(one.right for one in made) >= RIGHT),
            "Do architectures it never saw appear where they are due?",
            ", ".join(f"{named(one)} for {percent(one.right)}" for one in made)
            + f" of {len(made[0].rows)} pairs",
            f"At least {100 * RIGHT:.0f} % of pairs, every architecture",
            "unseen",
        ),
        Verdict(
            _state(min(gaps.values()) >= -LOSS),
            "Are those networks as good as trained ones?",
            ", ".join(
                f"{named(one)} {percent(one.accuracy)} ({points(gaps[id(one)])} points to trained)"
                for one in made
            ),
            f"At most {100 * LOSS:.0f} points below the trained test networks' mean",
            "unseen",
        ),
    ]


def _state(reached: bool) -> str:
    return "reached" if reached else "short"


def words(left_out: str, link: str = "and") -> str:
    """A set of left-out architectures in words."""
    *names, last = left_out.split("+")
    return f"{', '.join(names)} {link} {last}" if names else last


def beside(found: Sequence[Measured], one: Measured, method: str) -> Measured:
    """The same architecture and set by another method."""
    key = one.left_out, one.architecture, method
    return next(it for it in found if (it.left_out, it.architecture, it.method) == key)


def sentences(found: Sequence[Measured]) -> Iterator[str]:
    """What the data say of each set left out: the answer, then how much it is worth."""
    for left_out in dict.fromkeys(one.left_out for one in found):
        made = [one for one in found if (one.left_out, one.method) == (left_out, "generated")]
        listed = []
        for one in made:
            spread = interval(*one.bounds)
            trained = percent(beside(found, one, "trained").accuracy)
            listed.append(
                f"{one.architecture} for {percent(one.right)} of {len(one.rows)} pairs, at a mean "
                f"test accuracy of {percent(one.accuracy)} ({f'{spread}; ' if spread else ''}"
                f"trained ones have {trained})"
            )
        yield (
            f"An embedder that was given no network of {words(left_out, 'or')} decodes, where they "
            f"are due between the extremes, {'; '.join(listed)}."
        )
        yield from (_worth(found, one) for one in made)


def _worth(found: Sequence[Measured], one: Measured) -> str:
    """Beside the controls that make light of the answer."""
    trained, all_four, constant, distilled = (
        beside(found, one, method) for method in ("trained", "all_four", "constant", "distilled")
    )
    text = (
        f"{one.architecture}, beside that: {percent(all_four.accuracy)} in the space that saw all "
        f"architectures, {percent(distilled.accuracy)} distilled from scratch in as many steps, "
        f"{percent(constant.accuracy)} for the one network from between the mean latents."
    )
    if len(one.rows) < 2 or len(trained.rows) < 2:
        return text
    return text + (
        f" Two generated networks give the same answer on {percent(one.alike)} of the test "
        f"images, two trained ones on {percent(trained.alike)}: generated ones differ "
        f"{'less' if one.alike > trained.alike else 'as much or more'} from each other."
    )


def tuning_sentences(frame: pd.DataFrame) -> Iterator[str]:
    """What one more epoch does, beside training from scratch."""
    for (_, name), part in frame.groupby(["left_out", "architecture"], sort=False):
        means = part.groupby(["method", "epochs"])[["accuracy", "train_accuracy"]].mean()
        scratch = means["accuracy"]["scratch"]
        listed = " / ".join(percent(value) for value in scratch)
        known = percent(means["train_accuracy"]["generated", 0])
        yield (
            f"One epoch of training takes generated {name} networks, which get {known} of the "
            f"training images right to begin with, from "
            f"{percent(means['accuracy']['generated', 0])} to "
            f"{percent(means['accuracy']['finetuned', 1])} of the test images; from scratch, "
            f"networks reach {listed} after {' / '.join(map(str, scratch.index))} "
            f"{'epoch' if list(scratch.index) == [1] else 'epochs'}."
        )
