"""Variants of a space are trained on the study's zoo on request, and end in a page."""

import json

VARIANTS = {
    "multiarch": {"whole": {}, "few": {"trained_on": 2}},
    "singlearch": {"whole": {}, "few": {"trained_on": 3}},
    "shapes": {"whole": {}, "few": {"trained_on": 3, "warp": 0}},
}


def test_variants_have_a_page_a_table_and_figures(copied):
    spaces = {space: {"variants": found} for space, found in VARIANTS.items()}
    settings = f"spaces={json.dumps(spaces)}"
    ended = copied.run("all_variants", "--cores", "2", "--config", settings)
    assert ended.code == 0, ended.text[-5000:]
    # The zoos and the study's own spaces stay as they are.
    assert ended.jobs == {
        "variant_embedder": 4,
        "variant_field_embedder": 2,
        "score_variant": 4,
        "score_field_variant": 2,
        "variants": 3,
        "variants_page": 3,
        "all_variants": 1,
    }
    for space, variants in VARIANTS.items():
        folder = copied.results / space
        lines = (folder / "variants.md").read_text().splitlines()
        assert [line.split(" | ")[0] for line in lines[2:]] == [f"| {name}" for name in variants]
        html = (folder / "variants.html").read_text()
        assert len(html) < 15e6 and "Variants of the space" in html
        assert list((folder / "figures").glob("*.svg"))
