"""In continuous integration a skip is a failure, unless the machine could not have run it."""

import os
from pathlib import Path

import pytest

EXCUSE = "not on this machine:"
FOLDER = Path(__file__).parent
SLOW = [FOLDER / folder for folder in ("chaos", "cluster", "workflow")]
TOGETHER = [*SLOW, FOLDER / "browser"]  # tests of such a folder share what takes long to make


def pytest_configure(config):
    """Know the mark also where pytest-xdist is not loaded."""
    config.addinivalue_line("markers", "xdist_group(name): tests that stay on one core together")


def pytest_collection_modifyitems(items):
    """Mark as slow what runs Snakemake, and which tests stay on one core."""
    for item in items:
        if any(folder in item.path.parents for folder in SLOW):
            item.add_marker(pytest.mark.slow)
        folder = next((folder for folder in TOGETHER if folder in item.path.parents), item.path)
        item.add_marker(pytest.mark.xdist_group(folder.relative_to(FOLDER).as_posix()))


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped or hasattr(report, "wasxfail") or not os.environ.get("CI"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    if not reason.startswith(EXCUSE):
        report.outcome = "failed"
        report.longrepr = f"Skipped in CI, and the reason does not begin with '{EXCUSE}' ({reason})"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Turn an inexcusable skip of a test into a failure."""
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    """Turn an inexcusable skip of a whole module into a failure."""
    report = yield
    _refuse_skip(report)
    return report


@pytest.fixture(scope="module")
def one_thread():
    """Run torch on one thread, as sums are rounded by how they are split."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """A study in miniature; not to be changed."""
    import torch

    from toy import make

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    made = make(tmp_path_factory.mktemp("toy"))
    torch.set_num_threads(threads)
    return made
