"""A small study that is disturbed in every way, and the same study undisturbed."""

import pytest
from small import SMALL
from watch import watched

from places import Place, empty, run_fixture, source

__all__ = ["empty", "run_fixture", "source"]


@pytest.fixture(scope="session")
def undisturbed(source, tmp_path_factory):
    """The small study, finished in peace; what was seen of its files; how the run ended.

    Its embedder is saved after every step, so that whoever kills it finds a checkpoint.
    """
    file = source / "workflow/lib/core/checkpoint.py"
    text = file.read_text()
    assert "EVERY = 30.0" in text
    file.write_text(text.replace("EVERY = 30.0", "EVERY = 0.0"))
    place = Place(source, tmp_path_factory.mktemp("undisturbed"))
    with watched(place.results) as seen:
        ended = place.run("--cores", "2", *SMALL)
    assert ended.code == 0, ended.text[-5000:]
    return place, seen, ended
