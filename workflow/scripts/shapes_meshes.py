"""Make or read the meshes of the study and say which shape each is."""

from pathlib import Path

import pandas as pd

from lib.config import Instances
from lib.core.progress import job, track
from lib.core.repro import atomic
from lib.data.meshes import write_mesh
from lib.data.shapes import left_out, shapes
from lib.zoo.extract import split_of
from lib.zoo.fields import shape_name

params, rows = snakemake.params, []
with job("meshes", snakemake.log[0]) as log:
    instances = Instances.model_validate(params.shapes["instances"])
    source = snakemake.input.get("source")
    folder = Path(snakemake.output.meshes)
    folder.mkdir(parents=True, exist_ok=True)
    numbers = range(instances.total)
    found = shapes(source, numbers, params.seed)
    for instance, mesh in enumerate(track(found, "shapes", len(numbers))):
        row = {"shape": shape_name(instance), "split": split_of(instance, instances)}
        write_mesh(folder / f"{row['shape']}.ply", mesh.vertices, mesh.faces)
        row |= {"source": mesh.name, "mended": mesh.mended}
        rows.append(row | {"vertices": len(mesh.vertices), "triangles": len(mesh.faces)})
    unusable = left_out(source)
    log.info("%d shapes, %d meshes left out", len(rows), len(unusable))
    for path, table in (
        (snakemake.output.table, pd.DataFrame(rows)),
        (snakemake.output.left_out, unusable),
    ):
        with atomic(path) as temporary:
            table.to_csv(temporary, index=False)
