"""Made-up results of a space of one architecture that keep the contract of their tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from report_fixture import Results

NAME = "ResNet8"
# What comes back: error of accuracy, agreement.
KEPT = {
    "decoded": (0.02, 0.88),
    "refined": (0.01, 0.93),
    "constant": (0.4, 0.5),
    "nearest_weights": (0.4, 0.2),
    "nearest_agreement": (0.08, 0.77),
    "readout": (0.05, 0.8),
    "pca": (0.3, 0.3),
    "noise": (0.4, 0.2),
    "mean_weights": (0.4, 0.1),
    "distilled": (0.008, 0.95),
}
BANDS = ("low", "middle", "high")


def write_alone(root: Path, instances: tuple[int, int, int] = (60, 12, 20)) -> Results:
    """Write a space of one architecture; `instances` are train, validation, test."""
    random = np.random.default_rng(5)
    catalogue = _catalogue(random, instances)
    tables = {
        "catalogue": catalogue,
        "latent_map": _latent_map(random, catalogue),
        "reconstruction": _reconstruction(random, catalogue),
        "interpolation": _interpolation(),
        "latent_optimization": _optimization(),
        "property_prediction": _properties(),
        "sampling": _sampling(random),
        "novelty": _novelty(random),
        "retrieval": _retrieval(random, catalogue),
        "arithmetic": _arithmetic(random, catalogue),
    }
    for table in tables.values():
        table["architecture"] = NAME
    rows = [(step, name, 1 / step) for step in (1, 50, 100) for name in ("loss", "own")]
    rows += [(50, "validation_agreement", 0.7), (100, "validation_agreement", 0.8)]
    losses = pd.DataFrame(rows, columns=["step", "name", "value"])
    return Results.write(root, "singlearch", tables, losses, {NAME: 19642})


def _catalogue(random: np.random.Generator, instances: tuple[int, int, int]) -> pd.DataFrame:
    rows = []
    for number, split in enumerate(np.repeat(["train", "validation", "test"], instances)):
        epochs = int(random.integers(1, 50))
        curve = (0.1 + 0.88 * (1 - np.exp(-np.arange(1, epochs + 1) / 8))).round(4).tolist()
        rows.append(
            {
                "network": f"{NAME}-{number:04d}",
                "architecture": NAME,
                "split": split,
                "status": "diverged" if number == 1 else "ok",
                "checkpoint_epoch": -1,
                "epochs": epochs,
                "train_curve": json.dumps(curve),
                "train_accuracy": curve[-1],
                "validation_accuracy": curve[-1],
            }
        )
    return pd.DataFrame(rows)


def _latent_map(random: np.random.Generator, catalogue: pd.DataFrame) -> pd.DataFrame:
    table = catalogue[catalogue["status"] == "ok"].drop(
        columns=["architecture", "status", "checkpoint_epoch"]
    )
    table["answers_x"] = table["validation_accuracy"] + random.normal(0, 0.02, len(table))
    table["answers_y"] = random.normal(0, 0.3, len(table))
    table["x"], table["y"] = random.normal(0, 0.3, (2, len(table)))
    return table.assign(predicted_architecture=NAME, seed=0, explained_x=0.61, explained_y=0.12)


def _reconstruction(random: np.random.Generator, catalogue: pd.DataFrame) -> pd.DataFrame:
    test, rows = catalogue[catalogue["split"] == "test"], []
    for method, (error, agreement) in KEPT.items():
        own = method in ("decoded", "refined")
        for row in test.itertuples():
            target = row.validation_accuracy
            sign = 1 if target < 0.5 else -1
            rows.append(
                {
                    "network": row.network,
                    "epochs": row.epochs,
                    "method": method,
                    "predicted_architecture": NAME,
                    "target_accuracy": target,
                    "accuracy": 0.95 if method == "constant" else target + sign * error,
                    "agreement": agreement + random.normal(0, 0.005),
                    "agreement_other": 0.4 + 0.4 * target,
                    "embedder": "probing" if own else "none",
                    "seed": 0,
                    "latent": 128 if own else 0,
                    "compression": 153.1 if own else np.nan,
                }
            )
    return pd.DataFrame(rows)


def _interpolation() -> pd.DataFrame:
    gamma, rows = np.linspace(0, 1, 11), []
    depth = {"latent": 0.01, "weights": 0.8, "aligned": 0.5, "aligned_reset": 0.2}
    for pair in range(6):
        ends = "mixed" if pair % 3 == 2 else "good"
        low, high = (0.3, 0.9) if ends == "mixed" else (0.9, 0.92)
        for method, lost in depth.items():
            for at in gamma:
                value = low + (high - low) * at - lost * 4 * at * (1 - at) * low
                name = f"{NAME}-{pair:04d}:{NAME}-{pair + 10:04d}"
                rows.append((name, ends, method, at, value, 0))
    columns = ["pair", "ends", "method", "gamma", "accuracy", "seed"]
    return pd.DataFrame(rows, columns=columns).assign(predicted_architecture=NAME)


def _optimization() -> pd.DataFrame:
    best = {"latent": 0.96, "weights": 0.985, "distilled": 0.98}
    starts = [f"{NAME}-0072", f"{NAME}-0073", "random-0", "random-1"]
    rows = []
    for method, last in best.items():
        for number, start in enumerate(["fresh-0"] if method == "distilled" else starts):
            for step in (0, 50, 100):
                value = last - (100 - step) / 130 - 0.001 * number
                kind = "random" if start.startswith("random") else "poor"
                kind = "fresh" if method == "distilled" else kind
                test = value if step == 100 else np.nan
                rows.append((start, kind, method, step, value, test, 0))
    rows.append((f"{NAME}-0003", "zoo", "best_of_zoo", 0, 0.97, 0.968, 0))
    columns = ["start", "start_from", "method", "step", "validation_accuracy", "test_accuracy"]
    columns.append("seed")
    return pd.DataFrame(rows, columns=columns)


def _properties() -> pd.DataFrame:
    r2 = {
        ("latent", "ridge"): (0.97, 0.6),
        ("latent", "boosting"): (0.96, 0.7),
        ("observed", "ridge"): (0.9, 0.7),
        ("statistics", "ridge"): (0.6, 0.95),
        ("statistics", "boosting"): (0.8, 0.94),
        ("pca", "ridge"): (-0.1, 0.0),
        ("pca", "boosting"): (-0.5, -0.1),
        ("weights", "ridge"): (-0.2, 0.0),
    }
    rows = []
    for (features, model), values in r2.items():
        for target, value in zip(("test_accuracy", "epochs"), values, strict=True):
            bounds = value - 0.03, value, value - 0.05, value + 0.02
            rows.append((features, model, target, value, bounds[0], bounds[3], *bounds[1:], 20, 0))
    own = (0.99, 0.98, 0.995, 0.95, 0.9, 0.98)
    rows.append(("validation_accuracy", "none", "test_accuracy", *own, 20, 0))
    columns = ["features", "model", "target", "r2", "r2_low", "r2_high"]
    columns += ["kendall_tau", "tau_low", "tau_high", "networks", "seed"]
    return pd.DataFrame(rows, columns=columns)


def _sampling(random: np.random.Generator) -> pd.DataFrame:
    level, rows = dict(zip(BANDS, (0.2, 0.6, 0.9), strict=True)), []
    kinds = [(kind, band) for kind in ("kde", "mixture", "noise", "training") for band in BANDS]
    for kind, band in [*kinds, ("initialised", "")]:
        for epochs in (0,) if kind == "training" else (0, 1, 5):
            for i in range(4):
                start = level.get(band, 0.1)
                value = start + (0.96 - start) * min(1, epochs / 4) + random.normal(0, 0.01)
                rows.append((f"{kind}-{band}-{i}", kind, band, epochs, value, 0))
    return pd.DataFrame(rows, columns=["network", "kind", "band", "epochs", "accuracy", "seed"])


def _novelty(random: np.random.Generator) -> pd.DataFrame:
    level, rows = dict(zip(BANDS, (0.2, 0.6, 0.9), strict=True)), []
    near = {"held_out": 0.4, "decoded_test": 0.42, "kde": 0.41, "mixture": 0.42, "noise": 0.95}
    for kind, overlap in near.items():
        for band in (*BANDS, "") if kind == "noise" else BANDS:
            for i in range(4):
                rows.append(
                    {
                        "network": f"{kind}-{band}-{i}",
                        "architecture": NAME,
                        "kind": kind,
                        "accuracy": level.get(band, 0.5) + random.normal(0, 0.02),
                        "nearest_weights": f"{NAME}-000{i}",
                        "weight_distance": 1.4 - overlap,
                        "nearest_outputs": f"{NAME}-001{i}",
                        "agreement": min(1.0, overlap + 0.3),
                        "error_overlap": overlap,
                        "aligned_distance": np.nan,
                        "level": 0.1 if kind == "noise" else np.nan,
                        "embedder": "none" if kind == "held_out" else "probing",
                        "seed": 0,
                        "band": band,
                    }
                )
    return pd.DataFrame(rows)


def _retrieval(random: np.random.Generator, catalogue: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for method, level in {"weights": 0.4, "outputs": 0.6, "latent": 0.9}.items():
        for network in catalogue.loc[catalogue["split"] == "test", "network"]:
            row = {"network": network, "method": method, "neighbours": 10}
            for kind, chance in (("architecture", 1.0), ("band", 1 / 3), ("band_within", 1 / 3)):
                row[f"precision_{kind}"] = random.binomial(10, level) / 10
                row[f"chance_{kind}"] = chance
            row |= {"agreement_within": 0.5 + 0.3 * level, "chance_agreement_within": 0.5}
            rows.append(row | {"embedder": "probing" if method == "latent" else "none", "seed": 0})
    return pd.DataFrame(rows)


def _arithmetic(random: np.random.Generator, catalogue: pd.DataFrame) -> pd.DataFrame:
    gain, rows = {"latent": 0.2, "random": -0.1, "weights": -0.02}, []
    for number, network in enumerate(catalogue.loc[catalogue["split"] == "test", "network"]):
        band = BANDS[number % 3]
        for method, value in gain.items():
            for scale in (0.0, 0.5, 1.0):
                change = scale * value * (2 - number % 3) / 2 + scale * random.normal(0, 0.002)
                chosen = scale == (1.0 if method == "latent" and band != "high" else 0.0)
                rows.append((network, band, method, scale, 0.5 + change, change, chosen, 0))
    columns = ["network", "band", "method", "scale", "accuracy", "change", "chosen", "seed"]
    return pd.DataFrame(rows, columns=columns)
