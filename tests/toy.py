"""A study in miniature for tests: learnable images, a stored zoo and an embedder of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from lib import nets
from lib.config import Embedding, Instances, Training
from lib.core.streams import Stream
from lib.data.images import ImageSplit
from lib.embed import Embedder, trainer
from lib.embed.objectives.classifiers import train_classifiers
from lib.embed.product import make_arm
from lib.engine import ensemble
from lib.engine.training import Engine, TrainedStack
from lib.engine.training.shard import train_shard
from lib.zoo import extract as zoo
from lib.zoo import population, store
from lib.zoo.population import Population
from lib.zoo.store import Catalogue

NAMES = ("LeNetLike", "VanillaCNN", "ResNet8")
CLASSES = tuple("abcd")
INSTANCES = Instances(train=3, validation=2, test=2)
CFG = Embedding(
    latent=16,
    rank=8,
    probes=24,
    steps=120,
    networks=2,
    batch_size=16,
    learning_rate=5e-3,
    versions=4,
    weight_noise=0.2,
    image_noise=0.5,
    select_every=40,
)


def images(count: int, seed: int, noise: float = 1.5) -> ImageSplit:
    """Four random pictures, seen through noise."""
    rng = torch.Generator().manual_seed(seed)
    pictures = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(99))
    y = torch.randint(4, (count,), generator=rng)
    x = pictures[y] + noise * torch.randn(count, 1, 8, 8, generator=rng)
    return ImageSplit(x, y, CLASSES, "toy", "")


@dataclass
class Toy:
    """Everything that a study has by the time its embedder is trained."""

    images: ImageSplit
    validation: ImageSplit
    test: ImageSplit
    raw: dict[str, TrainedStack]
    catalogue: Path
    zoo: dict[str, dict[str, Population]]
    teacher: Tensor
    embedder: Embedder
    curves: trainer.Curves

    @property
    def networks(self) -> dict[str, Tensor]:
        """Weights of the training networks."""
        return population.flats(self.zoo["train"])

    def fit(self, cfg: Embedding, names=NAMES, seed: int = 0, **changes):
        """An arm trained on the zoo, and its curves; `changes` replace arguments."""
        torch.manual_seed(seed)
        arm = make_arm(cfg, names, (1, 8, 8), 4)
        arguments = {
            "train": {name: self.zoo["train"][name] for name in names},
            "held_out": {name: self.zoo["validation"][name] for name in names},
            "images": self.images,
            "validation": self.validation,
            "stream": Stream("toy", seed),
            "teacher": self.teacher,
        }
        return arm, train_classifiers(arm, **arguments | changes)

    def unfused(self, name: str, instance: int) -> nn.Module:
        """A network as it was trained, batch norm and all."""
        module = nets.build(name, 1, 8, 4)
        module.load_state_dict(ensemble.select(self.raw[name].stack, instance))
        return module.eval()


def make(folder: Path) -> Toy:
    """Train and store a zoo in `folder`, and train an embedder of it: a few seconds."""
    train, validation, test = images(96, 1), images(64, 2), images(64, 3)
    training, raw, paths = Training(epochs=14, batch_size=16, learning_rate=0.08), {}, []
    for name in NAMES:
        stream, engine = Stream("zoo", 0, name), Engine(width=7)
        raw[name] = train_shard(name, range(7), training, stream, train, validation, engine=engine)
        paths.append(folder / f"{name}.h5")
        store.write_shard(paths[-1], zoo.extract(name, raw[name], INSTANCES, train, {}))
    Catalogue.build(paths, NAMES).save(folder / "catalogue.csv")
    catalogue = Catalogue.load(folder / "catalogue.csv")
    found = {
        s: population.load(catalogue, NAMES, s, train, "toy")
        for s in ("train", "validation", "test")
    }
    teacher = found["train"][NAMES[-1]].outputs(train).mean(0)
    toy = Toy(train, validation, test, raw, folder / "catalogue.csv", found, teacher, None, None)
    arm, toy.curves = toy.fit(CFG)
    toy.embedder = Embedder(arm, {"image": [1, 8, 8], "classes": CLASSES, "dataset": "toy"})
    return toy
