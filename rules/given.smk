"""What jobs are given: the files that rules ask for, and the settings that they depend on."""

from lib.config import ClassifierExperiments, FieldExperiments, uses_teacher
from lib.data.shapes import PROCEDURAL
from lib.embed.arm import find_arm

CLASSIFIER_SPACES = of_kind(SPACES, "classifiers")
LEFT_OUT = {
    space: {"+".join(names): list(names) for names in SPACES[space].left_out}
    for space in CLASSIFIER_SPACES
}
FIELD_ZOOS, FIELD_SPACES = of_kind(ZOOS, "fields"), of_kind(SPACES, "fields")
# What fields depend on, and what running them does.
FIELD = {"architectures", "widths", "omega"}
FIELD_TRAINING = FIELD | {"init", "training"}
VARIANTS = {
    space: {name: SPACES[space].variant(name) for name in SPACES[space].variants}
    for space in SPACES
}
VARIANT = "variants/{variant}"
SCORES = f"{{space}}/{VARIANT}/seed_{{seed}}/scores.csv"
TIMES = "benchmarks/{space}/variants/{variant}/seed_{seed}.tsv"
# What of an embedder has a digest.
EMBEDDER = ("embedder.safetensors", "losses.csv")


def members(kept):
    """The constraint on `{zoo}` in `{zoo}/{architecture}/`: architectures that are kept.

    Args:
        kept: whether an architecture of a zoo is, from its entry in the config and its name.
    """
    found = []
    for zoo in of_kind(ZOOS, "classifiers"):
        names = [name for name in ZOOS[zoo].architectures if kept(ZOOS[zoo], name)]
        found += [rf"{zoo}(?=/(?:{one_of(names)})/)"] if names else []
    return "|".join(found) or "(?!)"


def teacher_zoo(space):
    """The zoo whose networks are the teacher of a space."""
    return SPACES[space].teacher.zoo or SPACES[space].zoo


def teacher_of(wildcards):
    """The architectures that a teacher is taken from: the last of its zoo, if it is not trained."""
    return list(ZOOS[teacher_zoo(wildcards.space)].architectures[-1:])


def trained_as(space):
    """What an embedder of a space depends on, whichever seed it is of."""
    keys = {"zoo", "embedder", "trained_on", "truncation", "warp"} & set(type(space).model_fields)
    return block(space, include=keys, exclude={"embedder": {"seeds"}})


def trained_by(space, modules):
    """The digest of the code that trains an embedder, these architectures' modules with it."""
    return code_hash(
        f"lib.embed.objectives.{space.kind}",
        "lib.embed.job",
        find_arm(space.embedder.arm).__module__,
        *modules,
    )


def training_files(wildcards, cfg=None, left_out=()):
    """What an embedder of classifiers is trained on; networks that are left out are not given."""
    cfg = cfg or SPACES[wildcards.space]
    seen = [name for name in cfg.architectures if name not in left_out]
    found = {k: images_of(wildcards)[k] for k in ("train", "validation")}
    found["shards"] = shards(cfg.zoo, seen)
    if uses_teacher(cfg.embedder, len(cfg.architectures)):
        found["teacher"] = RESULTS / f"{wildcards.space}/teacher.safetensors"
    return found


def settings(wildcards):
    """The settings of an experiment, as plain values.

    Raises:
        WorkflowError: it is not asked for.
    """
    asked_for = SPACES[wildcards.space].experiments
    found = getattr(asked_for, wildcards.experiment)
    if found is None:
        raise WorkflowError(
            f"spaces.{wildcards.space}.experiments has no {wildcards.experiment}, only "
            + ", ".join(asked_for.names())
        )
    return block(found)


def needs(wildcards):
    """What an experiment needs beside networks, images and embedders."""
    return ClassifierExperiments.block(wildcards.experiment).needs


def without(space):
    """The embedders that were trained without some architectures, set by set, seed by seed."""
    asked_for = SPACES[space].experiments.unseen
    return [
        embedder(space, seed, f"unseen/{left_out}")["embedder"]
        for left_out in LEFT_OUT[space]
        for seed in asked_for.seeds
    ]


def given(wildcards):
    """All files that an experiment reads."""
    found = networks(wildcards) | images_of(wildcards)
    if "teacher" in needs(wildcards):
        found["teacher"] = RESULTS / f"{wildcards.space}/teacher.safetensors"
    if "unseen" in needs(wildcards):
        found["unseen"] = without(wildcards.space)
    return found


def told(wildcards):
    """What an experiment is told beside its own settings, as plain values."""
    space, needed = SPACES[wildcards.space], needs(wildcards)
    found = {"controls": block(space.controls)}
    if "training" in needed:
        found |= {"training": block(ZOOS[space.zoo].training), "engine": ENGINE}
    if "unseen" in needed:
        found |= {
            "left_out": list(LEFT_OUT[wildcards.space].values()),
            "unseen_seeds": list(space.experiments.unseen.seeds),
        }
    if "sampling" in needed and space.experiments.sampling:
        found["sampling"] = block(space.experiments.sampling)
    return found


def field_module(wildcards):
    """The Python module that defines the field of a zoo, or of a space."""
    zoo = wildcards.get("zoo") or SPACES[wildcards.space].zoo
    return nets.field_module_of(ZOOS[zoo].architecture)


def meshes_of(wildcards):
    """Where the meshes of a zoo come from, if they are not made here."""
    data = ZOOS[wildcards.zoo].data
    made_here = DATA[data].source == PROCEDURAL
    return {} if made_here else {"source": RESULTS / f"data/{data}/meshes"}


def samples(zoo, kind):
    """The files of signed distances of a zoo: `near` surfaces, or `uniform` in the cube."""
    return [
        RESULTS / f"zoos/{zoo}/samples/{kind}_{shard}.h5"
        for shard in instances(zoo, ZOOS[zoo].architecture)
    ]


def of_zoo(wildcards, file):
    """A file of the zoo of a space."""
    return RESULTS / f"zoos/{SPACES[wildcards.space].zoo}" / file


def field_of(wildcards, more=frozenset()):
    """What running the fields of a space depends on, as its zoo says; with more keys of that."""
    return block(ZOOS[SPACES[wildcards.space].zoo], include=FIELD | {"data"} | more)


def variant(wildcards):
    """The space as a variant has it."""
    return VARIANTS[wildcards.space][wildcards.variant]


def each_variant(space, file):
    """A file of every seed of each variant of a space, by the variant's name.

    Raises:
        WorkflowError: the config has no variants of this space.
    """
    if not VARIANTS[space]:
        raise WorkflowError(
            f"the config has no spaces.{space}.variants; config/variants.yaml shows some"
        )
    return {
        name: [
            RESULTS / file.format(space=space, variant=name, seed=seed)
            for seed in cfg.embedder.seeds
        ]
        for name, cfg in VARIANTS[space].items()
    }


def distilled(wildcards):
    """The table that the page takes the level of distilled networks from, where there is one."""
    cfg = SPACES[wildcards.space]
    known = cfg.kind == "classifiers" and cfg.experiments.reconstruction
    return {"reconstruction": RESULTS / wildcards.space / "reconstruction.csv"} if known else {}


def shown(wildcards):
    """All files that the page of a space is made of."""
    space, cfg = wildcards.space, SPACES[wildcards.space]
    found = {
        **tables(space),
        "losses": embedders(space, "losses"),
        "card": embedders(space, "card")[0],
        "embedders": embedders(space),
    }
    if cfg.kind == "fields":
        return found | {"scenes": RESULTS / space / "scenes.json"}
    images = list(images_of(wildcards).values())
    return found | {"preps": RESULTS / space / "preps.h5", "images": images}


def made(space):
    """What of a space has a digest."""
    cfg = SPACES[space]
    found = [*tables(space).values(), *embedders(space), *embedders(space, "losses")]
    if cfg.kind == "classifiers":
        found += [RESULTS / space / name for name in ("latents.safetensors", "preps.h5")]
        if any("teacher" in ClassifierExperiments.block(n).needs for n in cfg.experiments.names()):
            found.append(RESULTS / space / "teacher.safetensors")
        if cfg.experiments.unseen:
            found += [path.with_name(name) for path in without(space) for name in EMBEDDER]
    return [*found, RESULTS / f"{space}_report.html"]
