"""The map of the latent space."""

import json

import pytest

from lib.report.blocks import Control, Figures
from lib.report.sections.map import BLOCKS, LONGEST, section, sparkline
from report_fixture import write_several
from single_fixture import write_alone


def test_curves_become_lines_of_signs():
    assert sparkline(json.dumps([0.0, 0.5, 1.0, None])) == BLOCKS[0] + BLOCKS[4] + BLOCKS[-1]
    assert sparkline(float("nan")) == "" and sparkline("[]") == ""
    assert 20 < len(sparkline(json.dumps([0.5] * 301))) <= LONGEST


def test_a_map_without_curves_is_drawn_all_the_same(tmp_path):
    results = write_alone(tmp_path / "results")
    results.edit("latent_map", lambda frame: frame.drop(columns="train_curve"))
    assert "fig-map-answers" in results.page()


@pytest.mark.parametrize("several", [True, False])
def test_colours_switch_all_traces_of_all_maps(tmp_path, several):
    write = write_several if several else write_alone
    page = write(tmp_path / "results").load()
    _, control, shown = section(page).blocks
    assert isinstance(control, Control)
    figures = shown.figures if isinstance(shown, Figures) else [shown]
    assert len(figures) == (2 if several else 1)
    assert [choice.text for choice in control.choices] == (
        ["Architecture", "Accuracy"] if several else ["Accuracy", "Epochs of training"]
    )
    for figure in figures:
        for k, choice in enumerate(control.choices):
            visible = choice.visible[figure.id]
            assert len(visible) == len(figure.figure.data)
            drawn = [trace.visible for trace in figure.figure.data]
            assert k > 0 or drawn == visible
