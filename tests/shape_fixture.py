"""Made-up results on shapes that keep the contract of the result tables, with real meshes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from lib.data import chairs
from lib.data.meshes import normalised, write_mesh
from lib.experiments.columns import FIELDS, SCORES
from lib.report.report import page_of
from lib.report.scenes import write_scenes
from lib.report.section import PageData

EXPERIMENTS = ("reconstruction", "interpolation", "completion", "sampling")
SPACE, ZOO = "shapes", "zoos/chairs"
IOU = {"siren": 0.9, "decoded": 0.72, "nearest": 0.5, "mean": 0.05}
EMPTY = np.zeros((0, 3)), np.zeros((0, 3), int)


def load(files: dict, experiments: tuple[str, ...] = EXPERIMENTS) -> PageData:
    """What the page of these files is made from."""
    return PageData.load(
        files,
        space=SPACE,
        kind="fields",
        architectures=["SIREN"],
        experiments=experiments,
        seeds=[0],
        base=files["scenes"].parents[1],
    )


def page(files: dict, run: dict, about: str = "") -> str:
    """The page of these files."""
    return page_of(load(files), "fields", run, about)


def write_shapes(
    root: Path, instances: tuple[int, int, int] = (10, 3, 5), points: int = 4, resolution: int = 24
) -> dict:
    """Write all tables and meshes of a space under `root`; `instances` are train, val., test."""
    random, files = np.random.default_rng(3), files_in(root)
    files["card"].parent.mkdir(parents=True)
    splits = np.repeat(["train", "validation", "test"], instances)
    names = [f"shape-{number:04d}" for number in range(len(splits))]
    meshes = [chair(number, resolution) for number in range(len(splits))]
    known, test = names[: instances[0]], names[-instances[2] :]
    own = dict(zip(test, meshes[-instances[2] :], strict=True))

    def keep(path: Path, mesh, noise: float = 0.0) -> None:
        vertices, faces = mesh
        vertices = vertices * (1 + noise * np.sin(9 * vertices[:, [2, 0, 1]]))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_mesh(path, np.clip(vertices, -1, 1), faces)

    def made(name: str, mesh, noise: float = 0.0) -> None:
        keep(root / SPACE / "meshes" / f"{name}.ply", mesh, noise)

    for name, mesh in zip(names, meshes, strict=True):
        keep(root / ZOO / f"meshes/{name}.ply", mesh)
    _zoo(files, random, names, splits)

    rows = []
    for number, shape in enumerate(test):
        for method, level in IOU.items():
            mesh = meshes[number] if method == "nearest" else own[shape]
            made(f"reconstruction/{method}/{shape}", mesh, 0.1 * (1 - level))
            for seed in (0, 1):
                columns = {"shape": shape, "method": method, "embedder": "ours", "seed": seed}
                rows.append(columns | scores(random, level))
    save(files, "reconstruction", rows)

    rows = []
    for pair, (first, last) in enumerate([(test[0], test[1]), (test[2], test[3])]):
        for point in range(points):
            for method in ("latent", "weights"):
                empty = method == "weights" and point == 1
                name = f"pair{pair}_{method}_{point:02d}"
                made(f"interpolation/{name}", EMPTY if empty else meshes[point], 0.05 * pair)
                ends = {"pair": pair, "first": first, "last": last, "point": point}
                way = {"gamma": point / (points - 1), "method": method, "mesh": name}
                rows.append(ends | way | described(random, known, empty))
    save(files, "interpolation", rows)

    rows = []
    for number, shape in enumerate(test[:3]):
        for method, level in {"decoded": 0.7, "completed": 0.6, "scratch": 0.2}.items():
            made(f"completion/{method}_{shape}", meshes[number], 0.1 * (1 - level))
            rows.append({"shape": shape, "method": method, "points": 300} | scores(random, level))
    save(files, "completion", rows)

    rows = []
    for method in ("latent", "weights", "unseen"):
        for number in range(3):
            empty, name = method == "weights" and number == 2, f"{method}_{number:03d}"
            made(f"sampling/{name}", EMPTY if empty else meshes[number + 4])
            rows.append({"method": method, "mesh": name} | described(random, known, empty))
    save(files, "sampling", rows)

    card = {"parameters": {"SIREN": 2593}, "embedder": {"latent": 128}}
    files["card"].write_text(json.dumps(card))
    losses = [{"step": step, "name": "own", "value": 1 / (step + 1)} for step in range(50)]
    losses += [{"step": step, "name": "validation_error", "value": 0.1} for step in (0, 25, 49)]
    pd.DataFrame(losses).to_csv(files["losses"][0], index=False)
    write_scenes(files["scenes"], tables(files), root / ZOO / "meshes", root / SPACE / "meshes")
    return files


def files_in(root: Path) -> dict:
    """Where the files of the page lie."""
    embedder = root / SPACE / "embedder/seed_0"
    return {
        **{name: root / ZOO / f"{name}.csv" for name in ("shapes", "left_out", "catalogue")},
        **{name: root / SPACE / f"{name}.csv" for name in FIELDS},
        "scenes": root / SPACE / "scenes.json",
        "card": embedder / "embedder.safetensors.json",
        "losses": [embedder / "losses.csv"],
    }


def tables(files: dict) -> dict[str, Path]:
    """Those that name meshes."""
    return {name: files[name] for name in ("latent_map", *EXPERIMENTS)}


def save(files: dict, name: str, rows: list[dict]) -> None:
    """Write a table."""
    pd.DataFrame(rows).to_csv(files[name], index=False)


def _zoo(files: dict, random: np.random.Generator, names: list[str], splits: np.ndarray) -> None:
    count = {"vertices": 900, "triangles": 1800}
    shapes = pd.DataFrame({"shape": names, "split": splits, "source": names, "mended": ""} | count)
    shapes.loc[1, "mended"] = "turned and holes filled"
    shapes.to_csv(files["shapes"], index=False)
    save(files, "left_out", [{"file": "set/<b>bad</b>.off", "reason": "has no faces"}])
    fit = {"mse": 1e-4, "sign_accuracy": 0.98, "iou": random.uniform(0.8, 0.95, len(names))}
    catalogue = pd.DataFrame({"network": names, "shape": names, "split": splits} | fit)
    catalogue["status"] = np.where(catalogue.index == 0, "diverged", "ok")
    catalogue.to_csv(files["catalogue"], index=False)
    places = random.normal(size=(2, len(names)))
    latent_map = catalogue[["shape", "split", "iou"]].assign(x=places[0], y=places[1], seed=0)
    latent_map.to_csv(files["latent_map"], index=False)


def chair(seed: int, resolution: int) -> tuple[np.ndarray, np.ndarray]:
    """A procedural chair as the study has it, of fewer triangles."""
    vertices, faces = chairs.chair(chairs.draw(np.random.default_rng(seed)), resolution)
    return normalised(vertices), faces


def scores(random: np.random.Generator, level: float) -> dict[str, float]:
    """Scores of a mesh about as good as `level`."""
    shares = np.clip(level + random.normal(0, 0.03, 4), 0.01, 0.99)
    return dict(zip(SCORES, (0.06 * (1 - level), *shares), strict=True))


def described(random: np.random.Generator, known: list[str], empty: bool) -> dict:
    """What is said of a mesh that stands for no shape; of one without a surface, nothing."""
    if empty:
        return {"volume": 0.0, "parts": 0, "nearest": "", "chamfer": np.nan}
    parts, nearest = int(random.integers(1, 4)), known[int(random.integers(len(known)))]
    return {"volume": 0.2, "parts": parts, "nearest": nearest, "chamfer": random.uniform(0, 0.05)}
