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

from lib.config import experiments as asked
from lib.core.progress import track
from lib.core.streams import Stream
from lib.data.images import ImageSplit
from lib.embed.product import Embedder
from lib.engine import ensemble
from lib.experiments.columns import CLASSIFIERS
from lib.experiments.task import SPLITS, Row, Task, table
from lib.zoo.population import Population

RESAMPLES = 1000
QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
ALPHAS = tuple(10.0**k for k in range(-3, 6))
LEAVES = (4, 12)  # of a tree
Splits = Mapping[str, Population]  # the networks of one architecture by split
Values = Mapping[str, np.ndarray]  # split -> [n]
Features = Mapping[str, np.ndarray]  # split -> [n, F]


def run(task: Task, cfg: asked.PropertyPrediction) -> pd.DataFrame:
    """The table `property_prediction.csv`: how well properties are predicted from features.

    Besides the features, `validation_accuracy` stands for the network's own accuracy on validation
    images, the most that could be known of its accuracy on others (target `test_accuracy` alone),
    with the model `none`.
    """
    rows = []
    zoo = {name: {split: by[name] for split, by in task.zoo.items()} for name in task.architectures}
    targets = {name: targets_of(splits, task.images["test"]) for name, splits in zoo.items()}
    for seed, embedder in task.embedders.items():
        for name, splits in zoo.items():
            features = feature_sets(embedder, splits, cfg.components)
            beside = {"architecture": name, "seed": seed}
            for row in predict(features, targets[name], splits["test"], task.stream):
                rows.append(row | beside)
    return table(rows, CLASSIFIERS["property_prediction"])


def weight_statistics(population: Population) -> np.ndarray:
    """Mean, standard deviation and five quantiles of each weight and bias, [n, 7 entries].

    Unterthiner et al. 2020 (arXiv 2002.11448), Sec. 3.2, take these for each layer.
    """
    columns = []
    for entry in population.family.layout.entries:
        part = population.flat[:, entry.offset : entry.offset + entry.size].cpu()
        quantiles = torch.quantile(part, torch.tensor(QUANTILES), dim=1).T
        columns += [part.mean(1, keepdim=True), part.std(1, correction=0, keepdim=True), quantiles]
    return torch.cat(columns, 1).numpy().astype(np.float64)


def feature_sets(embedder: Embedder, zoo: Splits, components: int) -> dict[str, Features]:
    """What stands for a network, by name and split.

    `latent`; `observed`, what the encoder sees of the network before its learnt part;
    `statistics`; `pca`, principal components of the training networks' weights; `weights`.
    """
    from sklearn.decomposition import PCA

    arm, name = embedder.arm, zoo["train"].family.architecture
    features: dict[str, dict[str, np.ndarray]] = {}
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
            features.setdefault(key, {})[split] = values
    # An encoder that reads the weights themselves sees nothing else.
    if features["observed"]["train"].shape == raw["train"].shape:
        del features["observed"]
    return features


MODELS = {
    "latent": ("ridge", "boosting"),
    "observed": ("ridge",),
    "statistics": ("ridge", "boosting"),
    "pca": ("ridge", "boosting"),
    "weights": ("ridge",),
}


def targets_of(zoo: Splits, images: ImageSplit) -> dict[str, Values]:
    """What is predicted, by name and split; how networks were trained only where it varies.

    Epochs and learning rates are taken by their logarithm (base 10).
    """
    frames = {split: zoo[split].frame for split in SPLITS}
    tested = ensemble.accuracy(zoo["test"].outputs(images), images.y).cpu().double().numpy()
    accuracy = {split: frames[split]["validation_accuracy"].to_numpy() for split in SPLITS}
    targets = {"test_accuracy": accuracy | {"test": tested}}
    for column in ("epochs", "learning_rate"):
        if column in frames["train"]:
            targets[column] = {
                split: np.log10(frames[split][column].to_numpy(np.float64)) for split in SPLITS
            }
    return {
        name: values
        for name, values in targets.items()
        if name == "test_accuracy" or all(np.ptp(values[split]) > 0 for split in SPLITS)
    }


@dataclass(frozen=True)
class Score:
    """R2 and Kendall's tau-b of a prediction, each with its 95 % bootstrap interval.

    NaN where nothing varies.
    """

    r2: tuple[float, float, float]
    tau: tuple[float, float, float]

    @classmethod
    def of(cls, wanted: np.ndarray, given: np.ndarray, stream: Stream) -> Score:
        """Of predictions [n]; networks are drawn again and again from the stream."""
        count = len(wanted)
        shares = np.full(count, 1 / count)
        drawn = stream.numpy().multinomial(count, shares, size=RESAMPLES)
        times = np.concatenate([np.ones((1, count)), drawn])  # how often each network counts
        scores = []
        for measure in (r_squared, kendall):
            value, *resampled = measure(wanted, given, times)
            finite = np.array(resampled)[np.isfinite(resampled)]
            low, high = np.quantile(finite, [0.025, 0.975]) if len(finite) else (np.nan, np.nan)
            scores.append((float(value), float(low), float(high)))
        return cls(*scores)

    def columns(self) -> Row:
        """The columns that hold it."""
        names = ("r2", "r2_low", "r2_high", "kendall_tau", "tau_low", "tau_high")
        return dict(zip(names, (*self.r2, *self.tau), strict=True))


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
    features: Mapping[str, Features],
    targets: Mapping[str, Values],
    test: Population,
    stream: Stream,
) -> Iterator[Row]:
    """Rows of the networks of one architecture, but for `architecture` and `seed`.

    Args:
        features: what stands for a network, by name.
        targets: what is predicted, by name.
        test: the test networks.
        stream: below it are the streams of intervals.
    """

    def row(key: str, model: str, target: str, given: np.ndarray) -> Row:
        wanted = targets[target]["test"]
        # The same draws for all features and models.
        score = Score.of(wanted, given, stream.of(target, test.family.architecture))
        named = {"features": key, "model": model, "target": target}
        return named | score.columns() | {"networks": len(wanted)}

    todo = [(key, model) for key in features for model in MODELS[key]]
    for (key, model), target in track(list(product(todo, targets)), "fits"):
        yield row(key, model, target, FITS[model](features[key], targets[target]))
    own = test.frame["validation_accuracy"].to_numpy()
    yield row("validation_accuracy", "none", "test_accuracy", own)


def _ridge(features: Features, wanted: Values) -> np.ndarray:
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


def _boosting(features: Features, wanted: Values) -> np.ndarray:
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

    return _best((candidate for leaves in LEAVES for candidate in fitted(leaves)), wanted)


def _best(candidates: Iterator[Callable[[str], np.ndarray]], wanted: Values) -> np.ndarray:
    """Test predictions of the candidate with the smallest squared error on validation networks."""
    errors = [
        (float(((predicted("validation") - wanted["validation"]) ** 2).sum()), k, predicted)
        for k, predicted in enumerate(candidates)
    ]
    return min(errors, key=lambda item: item[:2])[2]("test")


FITS: dict[str, Callable[[Features, Values], np.ndarray]] = {
    "ridge": _ridge,
    "boosting": _boosting,
}
