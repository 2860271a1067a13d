"""A study from files and from Snakemake: layers, what cannot be read, and imported zoos."""

import copy
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import lib.study
from lib.config import ConfigError
from lib.study import load_study, parse_study, study_of

CONFIG = Path(__file__).parents[2] / "config"


def of_snakemake(*files, **config):
    """The study of a run with `--configfile` and `--config`."""
    from snakemake.common.configfile import load_configfile
    from snakemake.utils import update_config

    whole = load_configfile(CONFIG / "config.yaml")
    for layer in [*map(load_configfile, files), config]:
        update_config(whole, copy.deepcopy(layer))
    given = SimpleNamespace(configfiles=tuple(map(Path, files)), config=config)
    return study_of(whole, given)


def test_snakemake_makes_the_same_study():
    assert of_snakemake() == parse_study({})
    assert of_snakemake(CONFIG / "tiny.yaml") == load_study(CONFIG / "tiny.yaml")


def test_the_command_line_chooses_spaces_and_changes_values():
    found = of_snakemake(CONFIG / "tiny.yaml", spaces=["shapes"], seed=3)
    assert (found.made, found.seed, found.name) == (("shapes",), 3, "tiny")
    assert found.spaces["multiarch"].embedder.latent == 32
    text = of_snakemake(
        zoos={"digits": {"shard_size": "3"}}, spaces={"shapes": {"trained_on": "~"}}
    )
    assert text.zoos["digits"].shard_size == 3 and text.spaces["shapes"].trained_on is None


def test_a_config_from_elsewhere_lies_over_the_default_study():
    nothing = SimpleNamespace(configfiles=(), config={})
    found = study_of({"seed": 5, "spaces": ["shapes"]}, nothing)
    assert found.seed == 5 and found.made == ("shapes",)
    ignored = SimpleNamespace(configfiles=(CONFIG / "tiny.yaml",), config={"seed": 9})
    assert study_of({"seed": 5}, ignored).seed == 5


def test_files_lie_one_over_the_other(tmp_path):
    (tmp_path / "a.yaml").write_text("{seed: 1, name: a}")
    (tmp_path / "b.yaml").write_text("{seed: 2}")
    found = load_study(tmp_path / "a.yaml", tmp_path / "b.yaml")
    assert (found.seed, found.name) == (2, "a")


COUNTS = {
    "ResNet8": {"train": 5, "validation": 2, "test": 3},
    "LeNetLike": {"train": 4, "validation": 1, "test": 1},
}


@pytest.fixture
def imported(monkeypatch):
    """A study over an imported zoo that holds `COUNTS`."""
    monkeypatch.setattr(lib.study, "_holds", lambda path: COUNTS)

    def make(zoo):
        spaces = {"mine": {"zoo": "mine"}}
        return parse_study({"zoos": {"mine": {"data": "digits"} | zoo}, "spaces": spaces})

    return make


def test_an_imported_zoo_is_taken_whole_unless_the_study_says_otherwise(imported):
    zoo = imported({"imported": "there"}).zoos["mine"]
    assert zoo.architectures == ("ResNet8", "LeNetLike")
    assert zoo.of("ResNet8").model_dump() == COUNTS["ResNet8"]
    assert zoo.of("LeNetLike").total == 6
    one = imported({"imported": "there", "architectures": ["ResNet8"]}).zoos["mine"]
    assert one.architectures == ("ResNet8",) and set(one.overrides) == {"ResNet8"}
    some = {"imported": {"ResNet8": "there"}, "architectures": ["ResNet8", "ResNet14"]}
    mixed = imported(some).zoos["mine"]
    assert mixed.of("ResNet8").train == 5 and mixed.of("ResNet14").train == 36
    assert mixed.source_of("ResNet14") is None


@pytest.mark.parametrize(
    ("zoo", "line"),
    [
        (
            {"imported": "there", "architectures": ["ResNet1"]},
            "zoos.mine.imported: there holds no ResNet1; did you mean ResNet8? it has",
        ),
        (
            {"imported": {"ResNet14": "there"}},
            "zoos.mine.imported.ResNet14: there holds no ResNet14;",
        ),
        (
            {"imported": "there", "instances": {"train": 5, "validation": 1, "test": 1}},
            "zoos.mine.instances.train: asks for 5 networks, the imported zoo holds 4 healthy ones",
        ),
        (
            {"imported": "there", "overrides": {"ResNet8": {"train": 9}}},
            "zoos.mine.overrides.ResNet8.train: asks for 9 networks, the imported zoo holds 5",
        ),
    ],
)
def test_what_an_imported_zoo_lacks_is_said(imported, zoo, line):
    with pytest.raises(ConfigError) as caught:
        imported(zoo)
    assert f"\n  {line}" in str(caught.value)


def test_an_imported_zoo_has_to_be_there(tmp_path):
    zoo = {"data": "digits", "imported": str(tmp_path / "nowhere")}
    with pytest.raises(ConfigError, match=r"zoos\.mine\.imported: .*nowhere: no zoo there"):
        parse_study({"zoos": {"mine": zoo}})


def test_a_zoo_of_ones_own_takes_at_most_ten_lines(tmp_path, imported):
    lines = (
        "name: mine",
        "results: results/mine",
        "zoos:",
        "  downloaded: {data: digits, imported: there}",
        "spaces:",
        "  mine: {zoo: downloaded}",
    )
    path = tmp_path / "mine.yaml"
    path.write_text("\n".join(lines))
    found = load_study(path)
    assert found.made == ("mine",) and found.zoos_made == ("downloaded",)
    assert "arithmetic" in found.spaces["mine"].experiments.names()
    assert yaml.safe_load(path.read_text())["name"] == "mine"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("seed: [1", "is not plain YAML"),
        ("seed: 1\n\tzoos: 2", "is not plain YAML"),
        ("name: !!python/object/apply:os.system ['touch pwned']", "python/object"),
        ("name: !!python/name:os.system", "python/name"),
        ("name: !thing x", "!thing"),
        ("name: 2001-99-99", "is not plain YAML"),
        ("seed: " + "9" * 5000, "is not plain YAML"),
        ("seed: -0x" + "f" * 9000, "seed: must be greater than or equal to 0"),
        ("[" * 5000, "is not plain YAML"),
        ("- seed\n- 3", "must be a block"),
        ("just words", "must be a block"),
        ("3: 4", "study"),
        ("&a\nzoos: *a", "more than 100000 values"),
        ("seed: 1\nzoos: {a: {data: x, data: y}}", "the key data stands twice"),
        ("seed: 1\n---\nseed: 2", "is not plain YAML"),
    ],
)
def test_a_file_that_is_no_plain_yaml_mapping_is_refused(tmp_path, monkeypatch, text, part):
    monkeypatch.chdir(tmp_path)
    Path("my.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_study("my.yaml")
    assert "my.yaml" in str(caught.value) and part in str(caught.value)
    assert list(tmp_path.iterdir()) == [tmp_path / "my.yaml"]


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: no such file"):
        load_study(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_study(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("name: Größe".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.yaml is not plain YAML"):
        load_study(tmp_path / "latin.yaml")


def test_an_empty_file_is_the_default_study(tmp_path):
    (tmp_path / "my.yaml").write_text("# nothing\n")
    assert load_study(tmp_path / "my.yaml") == parse_study({})


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40) | st.text("[]{}:,-&*!|> \nab1", max_size=40))
def test_junk_files_are_a_config_error_or_a_study(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "junk.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        load_study(path)
    except ConfigError as error:
        assert str(error)
