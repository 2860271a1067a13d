"""Made-up results on shapes that keep the contract of the result tables, with real meshes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from lib.data import chairs
from lib.data.meshes import normalised, write_mesh
from lib.evaluate.mesh_metrics import MeshScores
from lib.report import shape_scenes
from lib.report.scenes import scenes
from lib.report.shape_inputs import ShapeFiles

IOU = {"siren": 0.9, "decoded": 0.72, "nearest": 0.5, "mean": 0.05}


def write_shapes(
    root: Path, instances: tuple[int, int, int] = (10, 3, 5), points: int = 4, resolution: int = 24
) -> ShapeFiles:
    """Write all tables and meshes of a study under `root`; `instances` are train, val., test."""
    random, folder = np.random.default_rng(3), root / "shapes"
    folder.mkdir(parents=True)
    files = ShapeFiles(
        shapes=folder / "shapes.csv",
        left_out=folder / "left_out.csv",
        catalogue=folder / "catalogue.csv",
        latent_map=folder / "latent_map.csv",
        reconstruction=folder / "reconstruction.csv",
        interpolation=folder / "interpolation.csv",
        completion=folder / "completion.csv",
        sampling=folder / "sampling.csv",
        scenes=folder / "scenes.json",
        card=folder / "card.json",
    )
    splits = np.repeat(["train", "validation", "test"], instances)
    names = [f"shape-{number:04d}" for number in range(len(splits))]
    meshes = [chair(number, resolution) for number in range(len(splits))]
    known, test = names[: instances[0]], names[-instances[2] :]

    def keep(name: str, mesh, noise: float = 0.0) -> None:
        vertices, faces = mesh
        vertices = vertices * (1 + noise * np.sin(9 * vertices[:, [2, 0, 1]]))
        (folder / "meshes" / name).parent.mkdir(parents=True, exist_ok=True)
        write_mesh(folder / "meshes" / f"{name}.ply", np.clip(vertices, -1, 1), faces)

    for name, mesh in zip(names, meshes, strict=True):
        keep(f"original/{name}", mesh)
    count = {"vertices": 900, "triangles": 1800}
    shapes = pd.DataFrame({"shape": names, "split": splits, "source": names, "mended": ""} | count)
    shapes.loc[1, "mended"] = "turned and holes filled"
    shapes.to_csv(files.shapes, index=False)
    left_out = [{"file": "set/<b>bad</b>.off", "reason": "has no faces"}]
    pd.DataFrame(left_out).to_csv(files.left_out, index=False)
    fit = {"mse": 1e-4, "sign_accuracy": 0.98, "iou": random.uniform(0.8, 0.95, len(names))}
    catalogue = pd.DataFrame({"network": names, "shape": names, "split": splits} | fit)
    catalogue["status"] = np.where(catalogue.index == 0, "diverged", "ok")
    catalogue.to_csv(files.catalogue, index=False)
    places = random.normal(size=(2, len(names)))
    latent_map = catalogue[["shape", "split", "iou"]].assign(x=places[0], y=places[1], seed=0)
    latent_map.to_csv(files.latent_map, index=False)

    rows = []
    for number, shape in enumerate(test):
        for method, level in IOU.items():
            mesh = meshes[number if method == "nearest" else number - len(test)]
            keep(f"{method}/{shape}", mesh, 0.1 * (1 - level))
            for seed in (0, 1):
                columns = {"shape": shape, "method": method, "embedder": "ours", "seed": seed}
                rows.append(columns | scores(random, level))
    reconstruction = pd.DataFrame(rows)
    reconstruction.to_csv(files.reconstruction, index=False)

    rows = []
    for pair, (first, last) in enumerate([(test[0], test[1]), (test[2], test[3])]):
        for point in range(points):
            for method in ("latent", "weights"):
                empty = method == "weights" and point == 1
                name = f"pair{pair}_{method}_{point:02d}"
                mesh = (np.zeros((0, 3)), np.zeros((0, 3), int)) if empty else meshes[point]
                keep(f"interpolation/{name}", mesh, 0.05 * pair)
                ends = {"pair": pair, "first": first, "last": last, "point": point}
                way = {"gamma": point / (points - 1), "method": method, "mesh": name}
                rows.append(ends | way | described(random, known, empty))
    interpolation = pd.DataFrame(rows)
    interpolation.to_csv(files.interpolation, index=False)

    rows = []
    for number, shape in enumerate(test[:3]):
        for method, level in {"decoded": 0.7, "completed": 0.6, "scratch": 0.2}.items():
            keep(f"completion/{method}_{shape}", meshes[number], 0.1 * (1 - level))
            rows.append({"shape": shape, "method": method, "points": 300} | scores(random, level))
    completion = pd.DataFrame(rows)
    completion.to_csv(files.completion, index=False)

    rows = []
    for method in ("latent", "weights", "unseen"):
        for number in range(3):
            empty, name = method == "weights" and number == 2, f"{method}_{number:03d}"
            mesh = (np.zeros((0, 3)), np.zeros((0, 3), int)) if empty else meshes[number + 4]
            keep(f"sampling/{name}", mesh)
            rows.append({"method": method, "mesh": name} | described(random, known, empty))
    sampling = pd.DataFrame(rows)
    sampling.to_csv(files.sampling, index=False)

    frames = {"reconstruction": reconstruction, "interpolation": interpolation}
    frames |= {"completion": completion, "sampling": sampling}
    made = scenes(folder / "meshes", *shape_scenes.wanted(frames, latent_map))
    files.scenes.write_text(json.dumps(made))
    card = {"parameters": {"SIREN": 2593}, "embedder": {"latent": 128}}
    files.card.write_text(json.dumps(card))
    return files


def chair(seed: int, resolution: int) -> tuple[np.ndarray, np.ndarray]:
    """A procedural chair as the study has it, of fewer triangles."""
    vertices, faces = chairs.chair(chairs.draw(np.random.default_rng(seed)), resolution)
    return normalised(vertices), faces


def scores(random: np.random.Generator, level: float) -> dict[str, float]:
    """Scores of a mesh about as good as `level`."""
    shares = np.clip(level + random.normal(0, 0.03, 4), 0.01, 0.99)
    return MeshScores(0.06 * (1 - level), *shares)._asdict()


def described(random: np.random.Generator, known: list[str], empty: bool) -> dict:
    """What is said of a mesh that stands for no shape; of one without a surface, nothing."""
    if empty:
        return {"volume": 0.0, "parts": 0, "nearest": "", "chamfer": np.nan}
    parts, nearest = int(random.integers(1, 4)), known[int(random.integers(len(known)))]
    return {"volume": 0.2, "parts": parts, "nearest": nearest, "chamfer": random.uniform(0, 0.05)}
