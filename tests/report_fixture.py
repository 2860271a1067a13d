"""Made-up results of a space of several architectures, and how tests of pages handle results."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from lib.experiments import columns
from lib.report.report import page_of
from lib.report.section import PageData

ARCHITECTURES = ("LeNetLike", "VanillaCNN", "ResNet8", "ResNet14")
LEVEL = dict(zip(ARCHITECTURES, (0.955, 0.968, 0.975, 0.98), strict=True))
CONTROLS = {
    "constant": (0.006, 0.955, 0.955),
    "mean_latent": (-0.004, 0.957, 0.957),
    "nearest_weights": (-0.001, 0.951, 0.95),
    "nearest_agreement": (0.001, 0.958, 0.951),
    "noise": (-0.02, 0.94, 0.938),
    "mean_weights": (-0.55, 0.4, 0.4),
    "distilled": (0.004, 0.956, 0.955),
}
RUN = {
    "config": {"seed": 0, "zoos": {"digits": {"shard_size": 12}}},
    "versions": {"python": "3.11.7", "torch": "2.13.0"},
    "digests": {"multiarch/reconstruction.csv": "ab" * 32},
    "times": [{"step": "zoo LeNetLike 0", "seconds": 61.25}, {"step": "embedder", "seconds": 200}],
    "machine": {"processor": "2 cores", "memory": "8 GiB"},
}


@dataclass(frozen=True)
class Results:
    """Results of a space of classifiers below the folder `root`."""

    root: Path
    space: str
    architectures: tuple[str, ...]
    files: Mapping[str, Path]
    experiments: tuple[str, ...]

    @classmethod
    def write(
        cls,
        root: Path,
        space: str,
        tables: Mapping[str, pd.DataFrame],
        losses: pd.DataFrame,
        parameters: Mapping[str, int],
    ) -> Results:
        """Lay tables down as a study does, with the columns of the contract first."""
        folder = root / space
        (folder / "embedder/seed_0").mkdir(parents=True)
        files = {name: folder / f"{name}.csv" for name in tables}
        files["catalogue"] = root / "zoos" / space / "catalogue.csv"
        files["catalogue"].parent.mkdir(parents=True)
        for name, table in tables.items():
            wanted = columns.CATALOGUE if name == "catalogue" else columns.CLASSIFIERS[name]
            table.reindex(columns=list(dict.fromkeys([*wanted, *table]))).to_csv(
                files[name], index=False
            )
        files["losses"] = [folder / "embedder/seed_0/losses.csv"]
        losses.to_csv(files["losses"][0], index=False)
        files["card"] = folder / "embedder/seed_0/embedder.safetensors.json"
        files["card"].write_text(
            json.dumps({"parameters": dict(parameters), "embedder": {"latent": 128}})
        )
        asked = [name for name in tables if name not in ("catalogue", "latent_map")]
        return cls(root, space, tuple(parameters), files, tuple(asked))

    def load(self) -> PageData:
        """The results, read."""
        return PageData.load(
            self.files,
            space=self.space,
            kind="classifiers",
            architectures=self.architectures,
            experiments=self.experiments,
            seeds=(0,),
            base=self.root,
        )

    def page(self, run: Mapping = RUN, about: str = "") -> str:
        """The page as HTML text."""
        return page_of(self.load(), "classifiers", run, about)

    def edit(self, name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
        """Change a table in its file."""
        change(pd.read_csv(self.files[name])).to_csv(self.files[name], index=False)


def write_several(
    root: Path, instances: tuple[int, int, int] = (36, 12, 12), pairs: int = 12, points: int = 100
) -> Results:
    """Write a space of several architectures; `instances` are train, validation, test."""
    random = np.random.default_rng(7)
    catalogue = _catalogue(random, instances)
    tables = {
        "catalogue": catalogue,
        "latent_map": _latent_map(random, catalogue),
        "reconstruction": _reconstruction(random, catalogue),
        "interpolation": _interpolation(random, catalogue, pairs, points),
        "latent_optimization": _optimization(random),
    }
    tables["unseen"], tables["unseen_finetune"] = _unseen(catalogue)
    tables |= {"novelty": _novelty(catalogue), "retrieval": _retrieval(catalogue)}
    sizes = dict(zip(ARCHITECTURES, (3718, 17010, 19642, 43946), strict=True))
    found = Results.write(root, "multiarch", tables, _losses(random), sizes)
    preps = root / "multiarch/preps.h5"
    with h5py.File(preps, "w") as file:
        for name, rows in zip(ARCHITECTURES, (5, 22, 30, 40), strict=True):
            group = file.create_group(name)
            group.attrs["network"] = f"{name}-{instances[0] + instances[1]:04d}"
            original = np.zeros((48, 200), np.float32)
            original[:rows] = random.normal(0, 0.1, (rows, 200)) * random.random((rows, 1))
            group["original"] = original
            group["decoded"] = (0.8 * original).astype(np.float32)
    return replace(found, files={**found.files, "preps": preps})


def _catalogue(random: np.random.Generator, instances: tuple[int, int, int]) -> pd.DataFrame:
    rows = []
    splits = np.repeat(["train", "validation", "test"], instances)
    for architecture in ARCHITECTURES:
        for number, split in enumerate(splits):
            diverged = architecture == "ResNet14" and number == 1
            accuracy = np.clip(random.normal(LEVEL[architecture], 0.006), 0, 1)
            rows.append(
                {
                    "network": f"{architecture}-{number:04d}",
                    "architecture": architecture,
                    "instance": number,
                    "split": split,
                    "seed": int(random.integers(2**62)),
                    "status": "diverged" if diverged else "ok",
                    "epochs": 40,
                    "selected_epoch": 38,
                    "learning_rate": 0.05,
                    "momentum": 0.9,
                    "weight_decay": 5e-4,
                    "batch_size": 32,
                    "train_loss": np.nan if diverged else 0.02,
                    "train_accuracy": np.nan if diverged else 0.99,
                    "validation_loss": np.nan if diverged else 0.1,
                    "validation_accuracy": np.nan if diverged else accuracy,
                    "shard": f"{architecture}/shard_{number // 12}.h5",
                    "row": number % 12,
                }
            )
    return pd.DataFrame(rows)


def _latent_map(random: np.random.Generator, catalogue: pd.DataFrame) -> pd.DataFrame:
    good = catalogue[catalogue["status"] == "ok"]
    frame = good[["network", "architecture", "split", "validation_accuracy"]].copy()
    place = frame["architecture"].map(ARCHITECTURES.index)
    frame["predicted_architecture"] = frame["architecture"]
    frame["x"] = place * 3 + random.normal(0, 0.5, len(frame))
    frame["y"] = np.sin(place * 1.2) * 3 + random.normal(0, 0.5, len(frame))
    frame["answers_x"], frame["answers_y"] = frame["y"], frame["x"]
    return frame.assign(explained_x=0.5, explained_y=0.2, seed=0)


def _reconstruction(random: np.random.Generator, catalogue: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for network in catalogue[catalogue["split"] == "test"].itertuples():
        target = np.clip(random.normal(LEVEL[network.architecture], 0.007), 0, 1)
        for method, (gap, own, other) in {"decoded": (-0.004, 0.975, 0.957), **CONTROLS}.items():
            individual = random.normal(0, 0.004)
            rows.append(
                {
                    "network": network.network,
                    "architecture": network.architecture,
                    "method": method,
                    "predicted_architecture": network.architecture,
                    "target_accuracy": target,
                    "accuracy": np.clip(target + gap + random.normal(0, 0.004), 0, 1),
                    "agreement": np.clip(own + individual, 0, 1),
                    "agreement_other": np.clip(other + random.normal(0, 0.003), 0, 1),
                    "embedder": "rows",
                    "seed": 0,
                    "latent": 128 if method == "decoded" else 0,
                    "compression": 100.0 if method == "decoded" else np.nan,
                }
            )
    return pd.DataFrame(rows)


def _interpolation(
    random: np.random.Generator, catalogue: pd.DataFrame, pairs: int, points: int
) -> pd.DataFrame:
    test = catalogue[catalogue["split"] == "test"]
    first, last = (
        test.loc[test["architecture"] == name, "network"].tolist()
        for name in (ARCHITECTURES[0], ARCHITECTURES[-1])
    )
    every = [f"{a}:{b}" for a in first for b in last]
    rows = []
    for number, pair in enumerate(every[:: len(last) + 1][:pairs] + every):
        curve = number < min(pairs, len(every[:: len(last) + 1]))
        gammas = np.linspace(0, 1, points) if curve else (1 / 3, 2 / 3)
        borders = np.array([1 / 6, 1 / 2, 5 / 6]) + random.normal(0, 0.02, 3)
        for gamma in gammas:
            place = int(np.searchsorted(borders, gamma))
            middle = np.abs(gamma - borders).min()
            dip = 0.25 * np.exp(-((middle / 0.03) ** 2))
            values = {"latent": LEVEL[ARCHITECTURES[place]] - dip - 0.005}
            if curve:
                values["weights"] = 0.1 + 0.87 * np.abs(2 * gamma - 1) ** 6
                values["constant"] = LEVEL[ARCHITECTURES[place]]
            for method, accuracy in values.items():
                rows.append(
                    {
                        "pair": pair,
                        "ends": "extremes",
                        "method": method,
                        "gamma": gamma,
                        "predicted_architecture": ARCHITECTURES[place],
                        "accuracy": np.clip(accuracy + random.normal(0, 0.004), 0, 1),
                        "seed": 0,
                    }
                )
    return pd.DataFrame(rows)


def _optimization(random: np.random.Generator) -> pd.DataFrame:
    rows = []
    for architecture, level in LEVEL.items():
        for method, rate in {"latent": 40, "distilled": 120}.items():
            starts = ("LeNetLike-0048", "LeNetLike-0049") if method == "latent" else ("fresh-0",)
            for start in starts:
                steps = np.arange(0, 501, 10)
                curve = level + 0.006 - (level - 0.1) * np.exp(-steps / rate)
                curve = np.clip(curve + random.normal(0, 0.004, len(steps)), 0, 1)
                for step, accuracy in zip(steps, curve, strict=True):
                    test = accuracy - 0.008 if step == steps[curve.argmax()] else np.nan
                    kind = "training" if method == "latent" else "fresh"
                    rows.append((architecture, method, step, accuracy, test, start, kind, 0))
        best = (0, level + 0.01, level + 0.004, f"{architecture}-0003", "zoo", 0)
        rows.append((architecture, "best_of_zoo", *best))
    names = "architecture method step validation_accuracy test_accuracy start start_from seed"
    return pd.DataFrame(rows, columns=names.split())


# kind: agreement with, distance to the nearest training network
NOVELTY = {
    "training": (0.972, 1.3),
    "held_out": (0.971, 1.3),
    "decoded_test": (0.972, 0.9),
    "decoded_training": (0.98, 0.9),
    "midpoint": (0.972, 0.8),
    "noise": (0.99, 0.3),
}


def _novelty(catalogue: pd.DataFrame) -> pd.DataFrame:
    random, rows = np.random.default_rng(11), []
    for kind, (agreement, distance) in NOVELTY.items():
        split = "train" if kind in ("training", "decoded_training", "noise") else "test"
        for network in catalogue[catalogue["split"] == split].itertuples():
            rows.append(
                {
                    "network": network.network,
                    "architecture": network.architecture,
                    "kind": kind,
                    "band": "",
                    "accuracy": LEVEL[network.architecture] + random.normal(0, 0.004),
                    "nearest_weights": f"{network.architecture}-0000",
                    "weight_distance": distance + random.normal(0, 0.02),
                    "nearest_outputs": network.network,
                    "agreement": np.clip(agreement + random.normal(0, 0.003), 0, 1),
                    "error_overlap": np.clip(0.4 + random.normal(0, 0.05), 0, 1),
                    "aligned_distance": np.nan if "Res" in network.architecture else distance,
                    "level": 0.1 if kind == "noise" else np.nan,
                    "embedder": "none" if kind in ("training", "held_out") else "rows",
                    "seed": 0,
                }
            )
    return pd.DataFrame(rows)


def _retrieval(catalogue: pd.DataFrame) -> pd.DataFrame:
    random, rows = np.random.default_rng(12), []
    for method, level in {"weights": 0.4, "outputs": 0.6, "latent": 0.9}.items():
        for network in catalogue[catalogue["split"] == "test"].itertuples():
            row = {"network": network.network, "architecture": network.architecture}
            row |= {"method": method, "neighbours": 10}
            for kind, chance in (("architecture", 0.25), ("band", 1 / 3), ("band_within", 1 / 3)):
                row[f"precision_{kind}"] = random.binomial(10, level) / 10
                row[f"chance_{kind}"] = chance
            row |= {"agreement_within": 0.94 + 0.03 * level, "chance_agreement_within": 0.95}
            rows.append(row | {"embedder": "rows" if method == "latent" else "none", "seed": 0})
    return pd.DataFrame(rows)


# method: change of accuracy to trained ones, agreement with each other
UNSEEN = {
    "generated": (-0.004, 0.99),
    "all_four": (0.001, 0.985),
    "constant": (-0.003, 1.0),
    "trained": (0.0, 0.96),
    "initialised": (-0.87, 0.2),
    "distilled": (-0.01, 0.965),
}


def _unseen(catalogue: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    random, rows, tuned = np.random.default_rng(13), [], []
    test = catalogue[catalogue["split"] == "test"].groupby("architecture")["network"].agg(list)
    pairs = [f"{a}:{b}" for a in test[ARCHITECTURES[0]] for b in test[ARCHITECTURES[-1]]]
    left_out = "+".join(ARCHITECTURES[1:-1])
    for name, gamma in zip(ARCHITECTURES[1:-1], (1 / 3, 2 / 3), strict=True):
        for method, (change, alike) in UNSEEN.items():
            known = {"trained": test[name], "constant": ["mean"]}
            known |= dict.fromkeys(("generated", "all_four"), pairs)
            for pair in known.get(method, [f"{method}-{i}" for i in range(3)]):
                accuracy = np.clip(LEVEL[name] + change + random.normal(0, 0.004), 0, 1)
                place = gamma if method in ("generated", "all_four", "constant") else np.nan
                rows.append((left_out, pair, place, name, name, accuracy, method, 0, alike))
        for method, epochs, change in (
            ("generated", 0, -0.004),
            ("finetuned", 1, 0.002),
            ("scratch", 1, -0.1),
            ("scratch", 5, -0.03),
        ):
            for i in range(3):
                accuracy = np.clip(LEVEL[name] + change + random.normal(0, 0.004), 0, 1)
                start = (left_out, name, method, epochs, f"{method}-{i}")
                tuned.append((*start, min(1.0, accuracy + 0.02), accuracy, 0))
    names = "left_out pair gamma architecture predicted_architecture accuracy method seed"
    columns = [*names.split(), "agreement_other"]
    other = "left_out architecture method epochs network train_accuracy accuracy seed".split()
    return pd.DataFrame(rows, columns=columns), pd.DataFrame(tuned, columns=other)


def _losses(random: np.random.Generator) -> pd.DataFrame:
    rows = []
    for step in range(0, 3000, 5):
        fall = np.exp(-step / 600)
        for name, height in {"own": 1.2, "teacher": 2, "architecture": 0.5, "loss": 4}.items():
            rows.append((step, name, height * (fall + 0.03) * random.lognormal(0, 0.08)))
        if step % 100 == 0:
            rows.append((step, "validation_accuracy", 0.97 - 0.8 * fall))
            rows.append((step, "validation_agreement", 0.97 - 0.85 * fall))
    return pd.DataFrame(rows, columns=["step", "name", "value"])
