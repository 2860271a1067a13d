"""Generate architectures that embedders never saw, beside the controls; train some further."""

from safetensors.torch import load_file

from lib.config import Controls, Training, Unseen
from lib.core.checkpoint import Checkpoint
from lib.core.progress import job
from lib.core.repro import atomic, deterministic
from lib.data.images import load_split
from lib.embed import load_embedder
from lib.engine.training import Engine
from lib.evaluate import finetune, unseen
from lib.zoo import population
from lib.zoo.store import Catalogue

params, data, device = snakemake.params, snakemake.input, snakemake.params.run["device"]
with job("unseen architectures", snakemake.log[0]) as log, Checkpoint.of(snakemake):
    deterministic(**params.run)
    images, validation, test = (
        load_split(data[k], device) for k in ("train", "validation", "test")
    )
    catalogue = Catalogue.load(data.catalogue[0])
    zoo = {
        split: population.load(catalogue, params.architectures, split, images)
        for split in ("train", "test")
    }
    cfg, training = Unseen.model_validate(params.unseen), Training.model_validate(params.training)
    controls, engine = Controls.model_validate(params.controls), Engine(**params.engine)
    teacher = load_file(data.teacher[0], device)["train"]
    with_all = [load_embedder(path, device) for path in data.embedders]
    embedding, seed = with_all[0].arm.cfg, params.seed
    families = {name: found.family for name, found in zoo["test"].items()}
    made, scratch, rows, tuned = {}, {}, [], []
    for name in sorted({name for left_out in params.left_out for name in left_out}):
        arguments = cfg, controls, embedding, seed, images, teacher
        made[name] = unseen.controls_of(families[name], *arguments)
        arguments = cfg, training, seed, images, validation, engine
        scratch[name] = finetune.from_scratch(families[name], *arguments)
    paths = iter(data.unseen)
    for left_out in params.left_out:
        for number in cfg.seeds:
            one = load_embedder(next(paths), device)
            rows += unseen.generated_rows(one, left_out, number, zoo, test)
            arguments = cfg, training, zoo["test"], images, test, engine
            tuned += finetune.finetuned_rows(one, left_out, number, *arguments)
        for number, one in zip(params.seeds, with_all, strict=True):
            rows += unseen.generated_rows(one, left_out, number, zoo, test, "all_four")
        rows += unseen.control_rows(left_out, seed, made, zoo["test"], test)
        tuned += finetune.scratch_rows(left_out, seed, scratch, families, images, test)
    tables = unseen.table(rows), finetune.table(tuned)
    for path, table in zip(snakemake.output, tables, strict=True):
        with atomic(path) as temporary:
            table.to_csv(temporary, index=False)
