"""Variants of a space are trained on the study's zoo on request, and end in a page."""

import json

VARIANTS = {
    "singlearch": {"whole": {}, "few": {"trained_on": 3}},
    "shapes": {"whole": {}, "few": {"trained_on": 3, "warp": 0}},
}


def test_variants_have_a_page_a_table_and_figures(copied):
    blocks = [f"{part}={json.dumps({'ablations': found})}" for part, found in VARIANTS.items()]
    targets = [f"{part}_ablations" for part in VARIANTS]
    ended = copied.run(*targets, "--cores", "2", "--config", *blocks)
    assert ended.code == 0, ended.text[-5000:]
    # The zoos and the study's own spaces stay as they are.
    made = {f"singlearch_{job}" for job in ("variant_embedder", "variant", "variants", "ablations")}
    made |= {name.replace("singlearch", "shapes") for name in made}
    assert set(ended.jobs) == made
    for part, variants in VARIANTS.items():
        folder = copied.results / part
        lines = (folder / "ablations.md").read_text().splitlines()
        assert [line.split(" | ")[0] for line in lines[2:]] == [f"| {name}" for name in variants]
        html = (folder / "ablations.html").read_text()
        assert len(html) < 15e6 and "Variants of the space" in html
        assert list((folder / "figures").glob("*.svg"))
