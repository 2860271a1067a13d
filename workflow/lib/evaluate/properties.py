"""What is known of a network from its latent alone, beside what is known from its weights.

Regressions are fitted on training networks, their hyperparameters chosen on validation networks,
and scored on test networks. Training and validation networks give their *validation* accuracy
where the target is test accuracy: no test image is read before the score.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
import torch

from lib.config import SingleExploration
from lib.core.progress import track
from lib.core.repro import seed_for
from lib.data.images import ImageSplit
from lib.embed.product import Embedder
from lib.engine import ensemble
from lib.zoo.population import Population

COLUMNS = (
    "features",
    "model",
    "target",
    "r2",
    "r2_low",
    "r2_high",
    "kendall_tau",
    "tau_low",
    "tau_high",
    "networks",
    "seed",
)
RESAMPLES = 1000
QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
ALPHAS = tuple(10.0**k for k in range(-3, 6))
LEAVES = (4, 12)  # of a tree
SPLITS = ("train", "validation", "test")
Zoo = Mapping[str, Population]
Features = Mapping[str, np.ndarray]  # split -> [n, F]


def weight_statistics(population: Population) -> np.ndarray:
    """Mean, standard deviation and five quantiles of each weight and bias, [n, 7 entries].

    Unterthiner et al. 2020 (arXiv 2002.11448), Sec. 3.2, take these for each layer.
    """
    found = []
    for entry in population.family.layout.entries:
        part = population.flat[:, entry.offset : entry.offset + entry.size].cpu()
        quantiles = torch.quantile(part, torch.tensor(QUANTILES), dim=1).T
        found += [part.mean(1, keepdim=True), part.std(1, correction=0, keepdim=True), quantiles]
    return torch.cat(found, 1).numpy().astype(np.float64)


def feature_sets(embedder: Embedder, zoo: Zoo, components: int) -> dict[str, Features]:
    """What stands for a network, by name and split.

    `latent`; `observed`, what the encoder sees of the network before its learnt part;
    `statistics`; `pca`, principal components of the training networks' weights; `weights`.
    """
    from sklearn.decomposition import PCA

    arm, name = embedder.arm, zoo["train"].family.architecture
    found: dict[str, dict[str, np.ndarray]] = {}
    raw = {split: zoo[split].flat.cpu().double().numpy() for split in SPLITS}
    count = max(1, min(components, *(size - 1 for size in raw["train"].shape)))
    pca = PCA(count, svd_solver="arpack", random_state=0).fit(raw["train"])
    for split in SPLITS:
        with torch.no_grad():
            seen = arm.observe(name, zoo[split].flat)
            latent = arm.embed(name, seen)
        parts = {
            "latent": latent.cpu().double().numpy(),
            "observed": seen.flatten(1).cpu().double().numpy(),
            "statistics": weight_statistics(zoo[split]),
            "pca": pca.transform(raw[split]),
            "weights": raw[split],
        }
        for key, values in parts.items():
            found.setdefault(key, {})[split] = values
    # An encoder that reads the weights themselves sees nothing else.
    if found["observed"]["train"].shape == raw["train"].shape:
        del found["observed"]
    return found


MODELS = {
    "latent": ("ridge", "boosting"),
    "observed": ("ridge",),
    "statistics": ("ridge", "boosting"),
    "pca": ("ridge", "boosting"),
    "weights": ("ridge",),
}


def targets_of(zoo: Zoo, images: ImageSplit) -> dict[str, dict[str, np.ndarray]]:
    """What is predicted, by name and split; how networks were trained only where it varies.

    Epochs and learning rates are taken by their logarithm (base 10).
    """
    frames = {split: zoo[split].frame for split in SPLITS}
    tested = ensemble.accuracy(zoo["test"].outputs(images), images.y).cpu().double().numpy()
    accuracy = {split: frames[split]["validation_accuracy"].to_numpy() for split in SPLITS}
    found = {"test_accuracy": accuracy | {"test": tested}}
    for column in ("epochs", "learning_rate"):
        if column in frames["train"]:
            found[column] = {
                split: np.log10(frames[split][column].to_numpy(np.float64)) for split in SPLITS
            }
    return {
        name: by
        for name, by in found.items()
        if name == "test_accuracy" or all(np.ptp(by[split]) > 0 for split in SPLITS)
    }


@dataclass(frozen=True)
class Score:
    """R2 and Kendall's tau-b of a prediction, each with its 95 % bootstrap interval.

    NaN where nothing varies.
    """

    r2: tuple[float, float, float]
    tau: tuple[float, float, float]

    @classmethod
    def of(cls, wanted: np.ndarray, given: np.ndarray, *names: str) -> Score:
        """Of predictions [n]; networks are drawn again and again, by a stream of these names."""
        count = len(wanted)
        random = np.random.default_rng(seed_for("properties", *names))
        drawn = random.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
        times = np.concatenate([np.ones((1, count)), drawn])  # how often each network counts
        found = []
        for measure in (r_squared, kendall):
            value, *others = measure(wanted, given, times)
            some = np.array(others)[np.isfinite(others)]
            low, high = np.quantile(some, [0.025, 0.975]) if len(some) else (np.nan, np.nan)
            found.append((float(value), float(low), float(high)))
        return cls(*found)


def r_squared(wanted: np.ndarray, given: np.ndarray, times: np.ndarray) -> np.ndarray:
    """1 - squared error / variance around the mean, [m], each value counted `times` [m, n]."""
    mean = times @ wanted / times.sum(1)
    around = (times * (wanted - mean[:, None]) ** 2).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        least = 1e-12 * np.square(wanted).sum()  # what rounding leaves of equal values
        return np.where(around > least, 1 - times @ (wanted - given) ** 2 / around, np.nan)


def kendall(wanted: np.ndarray, given: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Kendall's tau-b [m], each value counted `times` [m, n]."""
    one, other = (np.sign(values[:, None] - values) for values in (wanted, given))
    both, left, right = (
        ((times @ pairs) * times).sum(1) for pairs in (one * other, one**2, other**2)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(left * right > 0, both / np.sqrt(left * right), np.nan)


def predict(
    embedder: Embedder,
    seed: int,
    cfg: SingleExploration,
    zoo: Zoo,
    images: ImageSplit,
) -> pd.DataFrame:
    """The table `singlearch/property_prediction.csv` of one embedder.

    Besides the features, `validation_accuracy` stands for the network's own accuracy on validation
    images, the most that could be known of its accuracy on others (target `test_accuracy` alone),
    with the model `none`.

    Args:
        embedder: an embedder of the architecture.
        seed: its seed.
        cfg: how many principal components.
        zoo: networks by split.
        images: test images.
    """
    features, targets = feature_sets(embedder, zoo, cfg.components), targets_of(zoo, images)
    rows = []
    todo = [(key, model) for key in features for model in MODELS[key]]
    for (key, model), (target, wanted) in track(list(product(todo, targets.items())), "fits"):
        given = FITS[model](features[key], wanted)
        rows.append(_row(key, model, target, wanted["test"], given, seed))
    own = targets["test_accuracy"]["test"], zoo["test"].frame["validation_accuracy"].to_numpy()
    rows.append(_row("validation_accuracy", "none", "test_accuracy", *own, seed))
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(
    features: str, model: str, target: str, wanted: np.ndarray, given: np.ndarray, seed: int
) -> tuple:
    score = Score.of(wanted, given, target)  # the same draws for all
    return features, model, target, *score.r2, *score.tau, len(wanted), seed


def _ridge(features: Features, wanted: Mapping[str, np.ndarray]) -> np.ndarray:
    """Predictions [n] for the test networks; standardised features, penalty by validation."""
    mean, scale = features["train"].mean(0), features["train"].std(0)
    scale = np.where(scale > 0, scale, 1.0)
    x = {split: (values - mean) / scale for split, values in features.items()}
    centre = wanted["train"].mean()
    # In terms of products of networks: one decomposition serves all penalties and many features.
    products = {split: values @ x["train"].T for split, values in x.items()}
    values, vectors = np.linalg.eigh(products["train"])
    turned = vectors.T @ (wanted["train"] - centre)

    def at(alpha: float) -> Callable[[str], np.ndarray]:
        weights = vectors @ (turned / (values.clip(0) + alpha))
        return lambda split: products[split] @ weights + centre

    return _best((at(alpha * len(values)) for alpha in ALPHAS), wanted)


def _boosting(features: Features, wanted: Mapping[str, np.ndarray]) -> np.ndarray:
    """Predictions [n] for the test networks; leaves and number of trees by validation."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    def fitted(leaves: int) -> Iterator[Callable[[str], np.ndarray]]:
        model = HistGradientBoostingRegressor(
            learning_rate=0.1,
            max_leaf_nodes=leaves,
            max_iter=150,
            min_samples_leaf=10,
            early_stopping=False,
            random_state=0,
        ).fit(features["train"], wanted["train"])
        stages = {s: list(model.staged_predict(features[s])) for s in ("validation", "test")}
        for k in range(9, len(stages["test"]), 10):
            yield lambda split, k=k: stages[split][k]

    return _best((one for leaves in LEAVES for one in fitted(leaves)), wanted)


def _best(
    candidates: Iterator[Callable[[str], np.ndarray]], wanted: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Test predictions of the candidate with the smallest squared error on validation networks."""
    found = [
        (float(((one("validation") - wanted["validation"]) ** 2).sum()), k, one)
        for k, one in enumerate(candidates)
    ]
    return min(found, key=lambda item: item[:2])[2]("test")


FITS: dict[str, Callable[[Features, Mapping[str, np.ndarray]], np.ndarray]] = {
    "ridge": _ridge,
    "boosting": _boosting,
}
