"""Values of the configuration: what is accepted, and what is said of what is not."""

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.config import ConfigError, Drawn, FieldZoo, Instances, Study, parse_memory
from lib.study import load_study, parse_study
from lib.zoo.extract import split_of
from refusals import nest, refused

CONFIG = Path(__file__).parents[2] / "config"
SHA = "0" * 64
ZOO = "zoos.digits"


def test_the_tiny_study_is_small_and_apart_from_the_default_one():
    tiny, default = load_study(CONFIG / "tiny.yaml"), parse_study({})
    assert tiny.name == "tiny" and tiny.made == default.made
    zoo, counts = tiny.zoos["digits"], tiny.zoos["digits"].instances
    assert zoo.architectures == default.zoos["digits"].architectures
    assert counts.total <= 6 and counts.test >= 2
    assert zoo.shard_size < counts.total, "several shards, the last one smaller"
    assert Path(tiny.results).resolve() != Path(default.results).resolve()
    made = {*default.made, "bench", "zoos", "data", "logs", "benchmarks"}
    assert Path(tiny.results).name not in made


def test_values_of_the_command_line_come_as_text_and_are_read_as_numbers():
    raw = {
        "seed": "3",
        **nest(f"{ZOO}.training", {"learning_rate": "1e-3", "augmentation": {"flip": "true"}}),
    }
    study = parse_study(raw)
    training = study.zoos["digits"].training
    assert study.seed == 3 and training.learning_rate == 1e-3
    assert training.augmentation.flip is True


def test_a_study_does_not_change():
    with pytest.raises(ValueError):
        Study().seed = 1
    with pytest.raises(ValueError):
        Study().zoos["digits"].training.epochs = 1


def test_test_networks_stay_when_a_zoo_grows():
    small = Instances(train=3, validation=1, test=2)
    large = Instances(train=9, validation=1, test=2)
    assert (
        [split_of(i, small) for i in range(small.total)]
        == [split_of(i, large) for i in range(small.total)]
        == ["test", "test", "validation", "train", "train", "train"]
    )


@pytest.mark.parametrize(
    ("path", "value", "parts"),
    [
        (f"{ZOO}.instances.train", 0, ["must be greater than or equal to 1", "got 0"]),
        (f"{ZOO}.instances.test", 0, ["must be greater than or equal to 1", "got 0"]),
        (f"{ZOO}.overrides.ResNet8.validation", 0, ["must be greater than or equal to 1", "got 0"]),
        (f"{ZOO}.shard_size", 0, ["must be greater than or equal to 1", "got 0"]),
        (f"{ZOO}.shard_size", 2.5, ["must be a whole number", "got 2.5"]),
        (f"{ZOO}.training.learning_rate", -0.1, ["must be greater than 0", "got -0.1"]),
        (f"{ZOO}.training.learning_rate", 0, ["must be greater than 0", "got 0"]),
        (f"{ZOO}.training.learning_rate", math.nan, ["must be a finite number", "got nan"]),
        (f"{ZOO}.training.learning_rate", math.inf, ["must be a finite number", "got inf"]),
        (f"{ZOO}.training.momentum", math.nan, ["must be a finite number", "got nan"]),
        (f"{ZOO}.training.momentum", 1, ["must be less than 1", "got 1"]),
        (f"{ZOO}.training.epochs", "many", ["must be a valid integer", "got 'many'"]),
        (f"{ZOO}.training.epochs", [5], ["must be a valid integer", "got [5]"]),
        (f"{ZOO}.training.epochs", None, ["must be a valid integer", "got None"]),
        (f"{ZOO}.training.epochs", True, ["true and false are not allowed", "got True"]),
        (f"{ZOO}.training.weight_decay", "small", ["must be a valid number", "got 'small'"]),
        (f"{ZOO}.training.schedule", "linear", ["must be 'constant', 'step' or 'cosine'"]),
        (
            f"{ZOO}.training.augmentation.flip",
            "perhaps",
            ["must be a valid boolean", "got 'perhaps'"],
        ),
        (f"{ZOO}.training", [1], ["must be a block of `key: value` lines", "got [1]"]),
        (ZOO, None, ["must be a block of `key: value` lines", "got None"]),
        (f"{ZOO}.overrides", [], ["must be a block of `key: value` lines", "got []"]),
        ("seed", -1, ["must be greater than or equal to 0", "got -1"]),
        ("threads", 0, ["must be greater than or equal to 1", "got 0"]),
        ("name", "my study", ["match pattern", "got 'my study'"]),
        ("name", "digits\n", ["match pattern", r"got 'digits\n'"]),
        ("name", 3, ["must be text", "got 3"]),
        ("results", "", ["at least 1 character", "got ''"]),
        ("device", "tpu", ["must be 'cpu' or 'cuda'", "got 'tpu'"]),
        (
            "data.digits.source",
            "mnist",
            ["must be 'digits', 'cifar10', 'tiny_imagenet' or 'folder'", "got 'mnist'"],
        ),
        ("data.digits.size", 28, ["must be 8, 32 or 64", "got 28"]),
        ("data.digits.channels", 2, ["must be 1 or 3", "got 2"]),
        ("data.digits.channels", True, ["true and false are not allowed", "got True"]),
        ("data.digits.validation", 1, ["must be less than 1", "got 1"]),
        ("data.digits.test", 0, ["must be greater than 0", "got 0"]),
        ("data.digits.sha256", "abc", ["match pattern", "got 'abc'"]),
        ("data.digits.limit_per_class", 0, ["must be greater than or equal to 1", "got 0"]),
        (f"{ZOO}.architectures", "ResNet8", ["must be a list", "got 'ResNet8'"]),
        (f"{ZOO}.architectures", [], ["at least 1 item", "got []"]),
        ("zoos.chairs.architectures", ["SIREN", "x"], ["at most 1 item", "got ['SIREN', 'x']"]),
        ("zoos.chairs.widths", [], ["at least 1 item", "got []"]),
        ("data.chairs.samples", 7, ["must be a multiple of 2", "got 7"]),
        ("spaces.shapes.warp", -1, ["must be greater than or equal to 0", "got -1"]),
    ],
)
def test_an_impossible_value_is_named_with_its_field_and_what_is_allowed(path, value, parts):
    message = refused(nest(path, value), f"\n  {path}: ", *parts)
    assert len(message.splitlines()) == 2


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        ("data.digits.mean", [math.nan], "data.digits.mean.0: must be a finite number, got nan"),
        (
            "data.digits.mean",
            [True],
            "data.digits.mean: true and false are not allowed here, got [True]",
        ),
        ("data.digits.std", [0], "data.digits.std.0: must be greater than 0, got 0"),
        (f"{ZOO}.architectures", ["ResNet8", 8], f"{ZOO}.architectures.1: must be text, got 8"),
        (f"{ZOO}.training.milestones", [3, 1], f"{ZOO}.training: milestones must rise, got [3, 1]"),
        (
            f"{ZOO}.training.milestones",
            [-1],
            f"{ZOO}.training.milestones.0: must be greater than or eq",
        ),
        (
            f"{ZOO}.training.milestones",
            [24],
            f"{ZOO}.training: milestones holds 24, must be at most 23 with 25 epochs",
        ),
        (
            f"{ZOO}.training",
            {"epochs": {"choices": [3, 9]}, "snapshots": [0, 10]},
            f"{ZOO}.training: snapshots holds 10, must be at most 9 with 9 epochs",
        ),
        (
            f"{ZOO}.training",
            {"epochs": {"uniform": [3, 9]}, "select_from": 3},
            f"{ZOO}.training: select_from is 3, must be less than the fewest epochs (3)",
        ),
        (
            "device",
            "cuda",
            "engine.kernels: compiled run on the CPU alone; device cuda needs engine.kernels vmap",
        ),
        (
            "engine",
            {"kernels": "vmap", "precision": "tf32"},
            "engine.precision: tf32 needs device cuda",
        ),
        ("engine.precision", "bf16", "engine: precision bf16 needs kernels vmap"),
        (
            "engine.max_memory",
            "4 cows",
            "engine.max_memory: must be a number of megabytes or text such",
        ),
        (
            "engine.max_memory",
            0,
            "engine.max_memory: must be a number of megabytes or text such as 4 GiB",
        ),
        (
            f"{ZOO}.training.select_from",
            25,
            f"{ZOO}.training: select_from is 25, must be less than epochs (25)",
        ),
        (
            f"{ZOO}.architectures",
            ["ResNet8", "LeNetLike", "ResNet8"],
            f"{ZOO}.architectures: must differ, got ResNet8, LeNetLike, ResNet8",
        ),
        (
            f"{ZOO}.overrides.VGG",
            {},
            f"{ZOO}.overrides.VGG: is none of the zoo's architectures; they are LeNetLike, Vanilla",
        ),
        (
            f"{ZOO}.imported",
            3,
            f"{ZOO}.imported: must be a path, or a path for each architecture by name, got 3",
        ),
        (
            "data.digits.mean",
            [0.1, 0.2, 0.3],
            "data.digits: mean has 3 values, expected one per channel (1)",
        ),
        ("data.digits.size", 32, "data.digits: source digits has 8x8 grey images: size must be 8"),
    ],
)
def test_values_that_do_not_go_together_are_named(path, value, place):
    refused(nest(path, value), f"\n  {place}")


def test_a_number_or_how_to_draw_it():
    raw = {
        "epochs": {"uniform": [3, 9]},
        "learning_rate": {"log_uniform": ["1e-3", 0.1]},
        "momentum": {"choices": [0, 0.9]},
    }
    training = parse_study(nest(f"{ZOO}.training", raw)).zoos["digits"].training
    assert training.epochs == Drawn(uniform=(3, 9)) and training.epochs.bounds == (3, 9)
    assert all(isinstance(number, int) for number in training.epochs.bounds)
    plain = training.model_dump(mode="json")
    assert plain["learning_rate"] == {"log_uniform": [0.001, 0.1]}
    assert type(training).model_validate(plain) == training


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("learning_rate", {"uniform": [-1, 2]}, ".uniform.0: must be greater than 0, got -1"),
        (
            "learning_rate",
            {"log_uniform": [0, 1]},
            ": log_uniform must lie above 0, got [0.0, 1.0]",
        ),
        ("weight_decay", {"log_uniform": [0, 1]}, ": log_uniform must lie above 0, got [0.0, 1.0]"),
        ("learning_rate", {"uniform": [2, 1]}, ": uniform must rise from lowest to highest"),
        ("learning_rate", {"uniform": [1]}, ".uniform.1: is required"),
        ("learning_rate", {"choices": []}, ".choices: "),
        ("learning_rate", {"choices": [True]}, ".choices: true and false are not allowed here"),
        (
            "learning_rate",
            {},
            ": expected exactly one of choices, in_turn, uniform and log_uniform, got 0",
        ),
        ("momentum", {"choices": [0.5, 1]}, ".choices.1: must be less than 1, got 1"),
        ("epochs", {"choices": [5, 2.5]}, ".choices.1: must be a whole number, got 2.5"),
        ("init_scale", {"log_unifrom": [1, 2]}, ".log_unifrom: no such key; did you mean log_unif"),
    ],
)
def test_an_impossible_way_to_draw_is_named(key, value, line):
    message = refused(nest(f"{ZOO}.training.{key}", value), f"\n  {ZOO}.training.{key}{line}")
    assert len(message.splitlines()) == 2


def test_memory_is_megabytes_or_text_with_a_unit():
    for text, size in {
        "4 GiB": 2**32,
        "500": 5 * 10**8,
        "1.5GB": 15 * 10**8,
        "2 mib": 2**21,
    }.items():
        assert parse_memory(text) == size
    assert parse_memory(500) == 5 * 10**8 and parse_memory(0.5) == 5 * 10**5


@pytest.mark.parametrize(
    ("images", "part"),
    [
        (
            {"source": "cifar10", "path": "x"},
            "source cifar10 has 32x32 colour images: size must be 32",
        ),
        (
            {"source": "cifar10", "size": 32, "channels": 3, "mean": [0] * 3, "std": [1] * 3},
            "source cifar10 needs a path or a url",
        ),
        (
            {
                "source": "cifar10",
                "size": 32,
                "channels": 3,
                "mean": [0] * 3,
                "std": [1] * 3,
                "url": "https://example.org/c.tar.gz",
            },
            "url needs sha256",
        ),
        (
            {"source": "folder", "url": "https://example.org/c.tar.gz", "sha256": SHA},
            "source folder takes a path, not a url",
        ),
        ({"source": "folder", "path": ""}, "source folder needs a path or a url"),
    ],
)
def test_a_source_that_lacks_something_says_what(images, part):
    message = refused(nest("data.digits", images), f"\n  data.digits: {part}")
    assert len(message.splitlines()) == 2


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        ({"sed": 3}, "sed: no such key; did you mean seed? known keys are name, seed, results"),
        ({"engin": {}}, "engin: no such key; did you mean engine?"),
        (
            nest("data.digits.sorce", "digits"),
            "data.digits.sorce: no such key; did you mean source? known keys are kind, source",
        ),
        (
            nest(f"{ZOO}.instances.trian", 3),
            f"{ZOO}.instances.trian: no such key; did you mean train?",
        ),
        (
            nest(f"{ZOO}.overrides.ResNet8.trian", 3),
            f"{ZOO}.overrides.ResNet8.trian: no such key; did you mean train?",
        ),
        (
            nest(f"{ZOO}.training.augmentation.xyzzy", 3),
            f"{ZOO}.training.augmentation.xyzzy: no such key; known keys are crop_padding, flip",
        ),
    ],
)
def test_an_unknown_key_is_named_at_any_depth_with_the_known_ones(raw, line):
    refused(raw, f"\n  {line}")


def test_a_typo_of_any_key_is_refused():
    def typos(block, path=()):
        for key, value in block.items():
            if path not in (("data",), ("zoos",), ("spaces",)):  # there any name is right
                yield (*path, key + "s_")
            if isinstance(value, dict):
                yield from typos(value, (*path, key))

    count = 0
    for path in typos(Study().model_dump()):
        close = "no such experiment" if path[-2:-1] == ("experiments",) else "no such key"
        refused(nest(".".join(path), {}), f"\n  {'.'.join(path)}: {close}; did you mean")
        count += 1
    assert count > 200


@pytest.mark.parametrize(
    "path",
    [
        f"{path}.{key}" if path else key
        for path, block in [
            ("", Study()),
            (ZOO, Study().zoos["digits"]),
            (f"{ZOO}.training", Study().zoos["digits"].training),
            ("spaces.shapes", Study().spaces["shapes"]),
            ("spaces.multiarch.experiments.unseen", Study().spaces["multiarch"].experiments.unseen),
        ]
        for key in type(block).model_fields
    ],
)
@pytest.mark.parametrize("value", [{"a": {"b": {}}}, math.nan, -math.inf, False])
def test_no_key_takes_nonsense(path, value):
    refused(nest(path, value), path.partition(".")[0])


def test_every_fault_has_its_line_up_to_twenty():
    message = refused({"seed": -1, "nme": "x", **nest(f"{ZOO}.shard_size", 0)})
    assert len(message.splitlines()) == 4
    lines = refused({f"key{n}": n for n in range(50)}).splitlines()
    assert len(lines) == 22 and lines[-1] == "  and 30 more"


def test_long_values_are_shortened():
    message = refused(
        {
            "seed": "9" * 10_000 + "x",
            "zoos": [[list(range(100))] * 20] * 20,
            "threads": -(16**10_000),
        }
    )
    assert len(message) < 1000 and "threads: must be" in message


@pytest.mark.parametrize("names", [["ResNet8", "VGG16"], ["ResNet-8", "LeNetLike"]])
def test_an_unknown_architecture_is_named_with_the_known_ones(names):
    wrong = names[1] if names[0] == "ResNet8" else names[0]
    refused(
        nest(f"{ZOO}.architectures", names),
        f"  {ZOO}.architectures: unknown architecture '{wrong}'",
        "LeNetLike, ",
        "ResNet56",
    )


def test_an_unknown_teacher_or_arm_is_named_with_its_field():
    place = "spaces.multiarch"
    refused(
        nest(f"{place}.teacher.architecture", "VGG16"),
        f"  {place}.teacher.architecture: unknown architecture",
    )
    refused(
        nest(f"{place}.embedder.arm", "strong"),
        f"  {place}.embedder.arm: unknown embedder arm 'strong'",
    )
    refused(nest("zoos.chairs.architectures", ["ResNet8"]), "zoos.chairs.architectures: ", "SIREN")
    refused(
        nest("spaces.shapes.embedder.options", {"reach": -1}),
        "spaces.shapes.embedder.options of arm `field_probing`:",
        "reach",
    )
    refused(
        nest("spaces.singlearch.embedder.arm", "field_probing"),
        "spaces.singlearch.embedder.arm: field_probing holds fields",
    )


def test_numbers_inside_blocks_from_the_command_line_arrive_as_text():
    images = {
        "source": "cifar10",
        "path": "x",
        "size": "32",
        "channels": "3",
        "mean": ["0"] * 3,
        "std": ["1"] * 3,
    }
    study = parse_study({"data": {"digits": images}, **nest(f"{ZOO}.shard_size", "4")})
    found = study.data["digits"]
    assert (found.size, found.channels, study.zoos["digits"].shard_size) == (32, 3, 4)
    refused(nest("data.digits.size", "28"), "data.digits.size: must be 8, 32 or 64, got")


def test_keys_left_out_of_a_zoo_of_fields_are_at_its_own_defaults():
    found = FieldZoo(data="chairs", instances={"train": 7}, training={"steps": 3})
    assert found.instances == Instances(train=7, validation=8, test=16)
    assert (found.training.steps, found.training.decay) == (3, 0.8)


@pytest.mark.parametrize("raw", ["digits", 3, [1], [["seed", 1]], True, math.nan])
def test_what_is_no_mapping_is_refused(raw):
    refused(raw, "\n  study: must be a block of `key: value` lines")


KEYS = sorted(
    {
        key
        for _, block in [
            ("", Study.model_json_schema()),
            *Study.model_json_schema()["$defs"].items(),
        ]
        for key in block["properties"]
    }
    | {"x", "ResNet8", "VGG"}
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.binary()
    | st.dates()
    | st.sampled_from(["digits", "folder", "ResNet8", "LeNetLike", "1", "1e-3"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(KEYS) | st.text(max_size=3) | st.integers() | st.none(),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(VALUES)
def test_junk_is_a_config_error_or_a_study(raw):
    try:
        assert isinstance(parse_study(raw), Study)
    except ConfigError as error:
        assert str(error)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_one_junk_value_in_a_good_file_is_a_config_error_or_a_study(data):
    raw = block = Study().model_dump()
    while True:
        key = data.draw(st.sampled_from(sorted(block)))
        if not (isinstance(block[key], dict) and block[key]) or data.draw(st.booleans()):
            break
        block = block[key]
    block[key] = data.draw(VALUES)
    try:
        parse_study(raw)
    except ConfigError as error:
        assert str(error)
