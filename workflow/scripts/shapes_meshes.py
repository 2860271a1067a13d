"""Make or read the meshes of the study and say which shape each is."""

from pathlib import Path

import pandas as pd

from lib.config import Instances
from lib.data.meshes import write_mesh
from lib.data.shapes import collect
from lib.fields import shape_name
from lib.progress import job
from lib.repro import atomic
from lib.zoo import split_of

params, rows = snakemake.params, []
with job("meshes", snakemake.log[0]) as log:
    instances = Instances.model_validate(params.shapes["instances"])
    found = collect(params.shapes["source"], instances.total, params.seed)
    folder = Path(snakemake.output.meshes)
    folder.mkdir(parents=True, exist_ok=True)
    for instance, mesh in enumerate(found.meshes):
        row = {"shape": shape_name(instance), "split": split_of(instance, instances)}
        write_mesh(folder / f"{row['shape']}.ply", mesh.vertices, mesh.faces)
        row |= {"source": mesh.name, "mended": mesh.mended}
        rows.append(row | {"vertices": len(mesh.vertices), "triangles": len(mesh.faces)})
    left_out = [{"file": file, "reason": reason} for file, reason in found.left_out.items()]
    log.info("%d shapes, %d meshes left out", len(rows), len(left_out))
    for path, table in (
        (snakemake.output.table, pd.DataFrame(rows)),
        (snakemake.output.left_out, pd.DataFrame(left_out, columns=["file", "reason"])),
    ):
        with atomic(path) as temporary:
            table.to_csv(temporary, index=False)
