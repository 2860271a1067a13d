"""Layers of a configuration, what follows from what they say, and what cannot be."""

import pytest

from lib.config import FIELDS, ONE, SEVERAL, Study
from lib.config.layers import merged, over
from lib.study import parse_study
from refusals import nest, refused

ALL = [
    *("reconstruction", "interpolation", "latent_optimization", "unseen", "unseen_finetune"),
    *("property_prediction", "sampling", "novelty", "retrieval", "arithmetic"),
]
MINE = {"data": "digits", "architectures": ["LeNetLike", "ResNet8"]}


def study(space=None, zoo=MINE):
    return parse_study({"zoos": {"mine": zoo}, "spaces": {"mine": {"zoo": "mine"} | (space or {})}})


def mine(space=None, zoo=MINE):
    return study(space, zoo).spaces["mine"]


def test_blocks_are_merged_key_by_key_and_lists_as_a_whole():
    below = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    assert over(below, {"a": {"c": [3]}, "e": 2}) == {"a": {"b": 1, "c": [3]}, "d": 1, "e": 2}
    assert below == {"a": {"b": 1, "c": [1, 2]}, "d": 1}


def test_another_kind_or_another_way_to_draw_replaces_what_was_there():
    images = {"digits": {"kind": "images", "size": 8}}
    assert over(images, {"digits": {"kind": "shapes"}}) == {"digits": {"kind": "shapes"}}
    assert over({"x": {"in_turn": [1]}}, {"x": {"uniform": [1, 2]}}) == {"x": {"uniform": [1, 2]}}


def test_a_list_of_spaces_chooses_and_replaces_no_block():
    found = merged(Study().model_dump(), {"spaces": {"a": {"zoo": "digits"}}}, {"spaces": ["a"]})
    assert found.chosen == ["a"] and found.named == ["a"]
    assert set(found.raw["spaces"]) == {"multiarch", "singlearch", "shapes", "a"}


def test_a_plain_run_makes_what_is_chosen_or_named_or_all():
    assert parse_study({}).made == ("multiarch", "singlearch", "shapes")
    assert parse_study({"seed": 3}).made == ("multiarch", "singlearch", "shapes")
    assert parse_study({"spaces": ["shapes"]}).made == ("shapes",)
    assert parse_study(nest("spaces.shapes.warp", 0.1)).made == ("shapes",)
    assert study().made == ("mine",)


def test_only_what_the_spaces_need_is_made():
    chosen = parse_study({"spaces": ["singlearch"]})
    assert chosen.zoos_made == ("performance", "digits") and chosen.data_made == ("digits",)
    trained = nest("spaces.singlearch.teacher.architecture", "ResNet14")
    assert parse_study(trained).zoos_made == ("performance",)
    assert set(chosen.zoos) == {"digits", "performance", "chairs"}


def test_what_is_left_open_follows_from_zoo_and_data():
    found = study()
    space = found.spaces["mine"]
    assert (found.zoos["mine"].kind, space.kind) == ("classifiers", "classifiers")
    assert space.architectures == ("LeNetLike", "ResNet8")
    assert found.zoos["mine"].instances.total == 60
    fields = study(zoo={"data": "chairs", "widths": [8]})
    assert (fields.zoos["mine"].kind, fields.spaces["mine"].kind) == ("fields", "fields")


@pytest.mark.parametrize(
    ("zoo", "preset"),
    [
        (MINE, SEVERAL),
        (MINE | {"architectures": ["ResNet8"]}, ONE),
        ({"data": "chairs"}, FIELDS),
    ],
)
def test_an_embedder_starts_from_that_of_its_kind(zoo, preset):
    assert mine(zoo=zoo).embedder == preset
    changed = mine({"embedder": {"steps": 7, "weights": {"own": 3}}}, zoo).embedder
    assert changed == preset.changed({"steps": 7, "weights": {"own": 3}})


def test_a_space_is_asked_all_that_its_architectures_allow():
    three = MINE | {"architectures": ["LeNetLike", "VanillaCNN", "ResNet8"]}
    assert mine(zoo=three).experiments.names() == ALL
    assert mine(zoo=three).left_out == (("VanillaCNN",),)
    assert mine().experiments.names() == [name for name in ALL if "unseen" not in name]
    one = mine({"architectures": ["ResNet8"]})
    assert one.experiments.interpolation.pairs == 0 and one.left_out == ()
    assert mine(zoo={"data": "chairs"}).experiments.names() == [
        *("reconstruction", "interpolation", "completion", "sampling")
    ]


def test_experiments_are_named_in_a_list_or_with_their_settings():
    assert mine({"experiments": ["novelty", "retrieval"]}).experiments.names() == ALL[7:9]
    named = mine({"experiments": {"sampling": {"samples": 2}, "novelty": {}}}).experiments
    assert named.names() == ["sampling", "novelty"] and named.sampling.samples == 2
    kept = parse_study(nest("spaces.multiarch.experiments", ["reconstruction", "arithmetic"]))
    experiments = kept.spaces["multiarch"].experiments
    assert experiments.names() == ["reconstruction", "arithmetic"]
    assert experiments.reconstruction.steps == 334, "settings below stay"
    fewer = parse_study(nest("spaces.multiarch.experiments", {"unseen": None, "novelty": None}))
    assert fewer.spaces["multiarch"].experiments.names() == [
        *("reconstruction", "interpolation", "latent_optimization", "retrieval")
    ]


def test_a_variant_changes_what_it_names():
    shapes = nest("spaces.shapes.variants", {"few": {"trained_on": 8, "embedder": {"rank": 3}}})
    space = parse_study(shapes).spaces["shapes"]
    found = space.variant("few")
    assert (found.trained_on, found.embedder.rank) == (8, 3)
    assert found.embedder.latent == space.embedder.latent
    changes = {"experiments": {"reconstruction": {"steps": 9}}}
    one = parse_study(nest("spaces.singlearch.variants.short", changes)).spaces["singlearch"]
    assert one.variant("short").experiments.reconstruction.steps == 9
    assert one.variant("short").experiments.names() == one.experiments.names()


def test_a_space_depends_on_its_zoos_and_nothing_else():
    whole = parse_study({}).of("singlearch")
    assert set(whole["zoos"]) == {"performance", "digits"} and set(whole["data"]) == {"digits"}
    assert set(whole["spaces"]) == {"singlearch"}
    assert "max_memory" not in whole["engine"] and "variants" not in whole["spaces"]["singlearch"]
    assert "variants" in parse_study({}).of("shapes", variants=True)["spaces"]["shapes"]


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        ({"spaces": ["shaps"]}, "spaces: there is no space shaps; did you mean shapes? spaces are"),
        ({"spaces": ["shapes", "shapes"]}, "spaces: shapes is named twice"),
        ({"spaces": []}, "spaces: an empty list"),
        ({"spaces": "shapes"}, "spaces: must be a block"),
        (
            nest("spaces.a.zoo", "digts"),
            "spaces.a.zoo: there is no zoo digts; did you mean digits?",
        ),
        (nest("spaces.a", {}), "spaces.a.zoo: is required"),
        (nest("zoos.a.data", "char"), "zoos.a.data: there is no data char; did you mean chairs?"),
        (nest("zoos.a.data", "digits"), "zoos.a.architectures: is required unless `imported`"),
        (
            nest("zoos.digits.data", "chairs"),
            "zoos.digits.data: chairs is shapes, which make a zoo of fields, not of classifiers",
        ),
        (
            nest("spaces.shapes.zoo", "digits"),
            "spaces.shapes.zoo: digits is a zoo of classifiers, this is a space of fields",
        ),
        (nest("data.a", {"source": "digits"}), "data.a.kind: must be images or shapes"),
        (nest("data.a.kind", "sounds"), "data.a.kind: must be images or shapes, got 'sounds'"),
        (
            nest("spaces.multiarch.architectures", ["ResNet8", "ResNet1"]),
            "spaces.multiarch.architectures: zoo digits has no ResNet1; did you mean ResNet14?",
        ),
        (
            nest("spaces.multiarch.architectures", ["ResNet8", "ResNet8"]),
            "spaces.multiarch.architectures: must differ, got ResNet8, ResNet8",
        ),
        (
            nest("spaces.singlearch.experiments.unseen", {}),
            "spaces.singlearch.experiments.unseen: needs 3 architectures or more, this space has 1",
        ),
        (
            nest("spaces.multiarch.experiments", ["unseen_finetune"]),
            "spaces.multiarch.experiments.unseen_finetune: trains further what `unseen` generates",
        ),
        (
            nest("spaces.multiarch.experiments", ["novelt"]),
            "spaces.multiarch.experiments.novelt: no such experiment; did you mean novelty?",
        ),
        (
            nest("spaces.multiarch.experiments", ["completion"]),
            "spaces.multiarch.experiments.completion: is asked of spaces of fields alone",
        ),
        (
            nest("spaces.singlearch.experiments.interpolation", {"pairs_within": 0}),
            "spaces.singlearch.experiments.interpolation: has nothing to walk between",
        ),
        (
            nest("spaces.multiarch.teacher.zoo", "chairs"),
            "spaces.multiarch.teacher.zoo: chairs is a zoo of fields",
        ),
        (
            nest("spaces.multiarch.teacher.zoo", "digts"),
            "spaces.multiarch.teacher.zoo: there is no zoo digts; did you mean digits?",
        ),
        (
            nest("spaces.multiarch.variants.other", {"zoo": "digits"}),
            "spaces.multiarch.variants.other: zoo would need another zoo",
        ),
        (
            nest("spaces.shapes.variants.other", {"warp": -1}),
            "spaces.shapes.variants.other.warp: must be greater than or equal to 0",
        ),
        (
            nest("spaces.shapes.variants.other", {"embedder": {"arm": "nothing"}}),
            "spaces.shapes.variants.other.embedder.arm: unknown embedder arm 'nothing'",
        ),
        (
            nest("spaces.shapes.variants", {"a": {}, "A": {}}),
            "spaces.shapes.variants.A: differs from a in case alone",
        ),
        (nest("spaces.my space.zoo", "digits"), "spaces.my space: files cannot be called so"),
        ({"zoos": {"../x": {}}}, "zoos.../x: files cannot be called so"),
        ({"zoos": {"a/b": {}}}, "zoos.a/b: files cannot be called so"),
        ({"data": {3: {}}}, "data.3: files cannot be called so"),
        ({"zoos": {"a" * 101: {}}}, "files cannot be called so"),
        (nest("spaces.Shapes.zoo", "digits"), "spaces.Shapes: differs from spaces.shapes in case"),
        (nest("zoos.Chairs.data", "chairs"), "zoos.Chairs: differs from zoos.chairs in case alone"),
        *(
            (nest(f"spaces.{name}.zoo", "digits"), f"spaces.{name}: the study keeps files of its")
            for name in ("zoos", "data", "logs", "benchmarks", "bench", "report", "digests", "Data")
        ),
    ],
)
def test_what_cannot_be_is_said_with_its_key_and_the_nearest_right_name(raw, line):
    refused(raw, f"\n  {line}" if not line.startswith("files") else line)


def left_out(*sets):
    return nest("spaces.multiarch.experiments.unseen.left_out", [list(one) for one in sets])


@pytest.mark.parametrize(
    ("sets", "line"),
    [
        ([], "names no set"),
        ([[]], "expected different names, got []"),
        ([["ResNet8", "ResNet8"]], "expected different names"),
        ([["ResNet14"]], "names ResNet14, which does not lie between the extremes"),
        ([["VGG"]], "names VGG, which does not lie between the extremes"),
        ([["ResNet8"], ["ResNet8"]], "names the same set twice"),
    ],
)
def test_what_is_left_out_lies_between_the_extremes(sets, line):
    refused(left_out(*sets), f"\n  spaces.multiarch.experiments.unseen.left_out: {line}")


def test_sets_left_out_are_in_class_order():
    found = parse_study(left_out(["ResNet8", "VanillaCNN"], ["ResNet8"])).spaces["multiarch"]
    assert found.left_out == (("VanillaCNN", "ResNet8"), ("ResNet8",))


def test_a_teacher_has_to_know_the_same_images():
    raw = {
        "data": {"others": {"kind": "images"}},
        "zoos": {"mine": MINE | {"data": "others"}},
        "spaces": {"mine": {"zoo": "mine", "teacher": {"zoo": "digits"}}},
    }
    refused(raw, "spaces.mine.teacher.zoo: digits is a zoo over digits, the space's own, mine, is")
