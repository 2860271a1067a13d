"""From a study and its files to a page, for every kind of space."""

from pathlib import Path

import pandas as pd
import pytest

from lib.report.report import space_page, variants_page
from lib.report.run import about, run_facts
from lib.study import parse_study
from report_fixture import RUN, Results, write_several
from single_fixture import write_alone


@pytest.fixture(scope="module")
def study():
    return parse_study({})


def page(study, results: Results) -> str:
    return space_page(study, results.space, results.files, RUN, results.root)


def test_the_default_spaces_of_classifiers_have_pages(study, tmp_path):
    several = page(study, write_several(tmp_path / "a", instances=(4, 2, 3), pairs=2, points=13))
    assert "<h1>One latent space for four architectures</h1>" in several
    assert "handwritten digits (8x8 pixels, grey)" in several and "60 networks of each" in several
    alone = page(study, write_alone(tmp_path / "b"))
    assert "<h1>One latent space for good and poor ResNet8s</h1>" in alone
    assert "There are 1000 of them, each trained from an initialisation of its own" in alone
    assert "There is no teacher: the embedder" in alone


def test_the_data_of_a_space_are_said(study):
    assert about(study, "shapes") == "There are 88 shapes: chairs that the study makes itself."
    own = parse_study({"data": {"chairs": {"kind": "shapes", "source": "my/chairs.zip"}}})
    assert about(own, "shapes").endswith("shapes, from chairs.zip.")


def test_run_facts_hold_what_the_space_depends_on(study, tmp_path):
    study = study.model_copy(update={"results": str(tmp_path)})
    folder = tmp_path / "benchmarks/multiarch"
    folder.mkdir(parents=True)
    (folder / "embedder.tsv").write_text("s\tcpu_time\n2.5\t5.0\n")
    (tmp_path / "table.csv").write_text("a\n1\n")
    facts = run_facts(study, "multiarch", [folder], [tmp_path / "table.csv"])
    assert facts["times"] == [{"step": "multiarch/embedder", "seconds": 2.5}]
    assert set(facts["digests"]) == {"table.csv"}
    assert set(facts["config"]["zoos"]) == {"digits"} and "chairs" not in facts["config"]["data"]


def test_variants_have_a_page_a_table_and_figures(tmp_path):
    few = {"whole": {}, "few": {"trained_on": 4}}
    study = parse_study({"spaces": {"singlearch": {"variants": few}}})
    rows = []
    for name, trained_on in (("whole", 8), ("few", 4)):
        for split in ("train", "validation", "test"):
            methods = (
                ("decoded",) if split == "train" else ("decoded", "refined", "nearest_agreement")
            )
            for method in methods:
                row = {"variant": name, "trained_on": trained_on, "latent_size": 64, "split": split}
                row |= {"architecture": "ResNet8", "method": method, "seeds": 1, "error": 0.02}
                row |= {"correlation": 0.99, "agreement": 0.8 + trained_on / 100}
                row |= {"predicted_right": 1.0, "own_above_other": 0.1, "own_low": 0.05}
                row |= {"own_high": 0.15, "error_low": 0.01, "error_high": 0.03}
                row |= {"error_spread": None, "agreement_low": 0.8, "agreement_high": 0.9}
                rows.append(row | {"agreement_spread": None})
    path = Path(tmp_path / "variants.csv")
    pd.DataFrame(rows).to_csv(path, index=False)
    seconds = dict.fromkeys(few, 3.0)
    made = variants_page(study, "singlearch", {"variants": path}, seconds, RUN, tmp_path)
    assert "Variants of the space of ResNet8" in made.page and 'href="variants.csv"' in made.page
    lines = made.markdown.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| whole", "| few"]
    assert set(made.figures) == {"zoo-error", "zoo-agreement"}
