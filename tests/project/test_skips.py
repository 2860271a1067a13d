import os
import re
import subprocess
import sys
from pathlib import Path

CONFTEST = Path(__file__).parents[1] / "conftest.py"
SOURCES = {
    "call": "import pytest\n\ndef test_it():\n    pytest.skip({reason!r})\n",
    "mark": "import pytest\n\n@pytest.mark.skip(reason={reason!r})\ndef test_it():\n    pass\n",
    "module": "import pytest\n\npytest.skip({reason!r}, allow_module_level=True)\n",
}
EXPECTED_FAILURE = "import pytest\n\n@pytest.mark.xfail\ndef test_it():\n    assert False\n"


def outcome(folder: Path, reason: str, ci: str) -> dict[str, int]:
    """How many tests of each kind of skip passed, failed, ... under this project's conftest."""
    (folder / "conftest.py").write_text(CONFTEST.read_text())
    (folder / "test_expected.py").write_text(EXPECTED_FAILURE)
    for name, source in SOURCES.items():
        (folder / f"test_{name}.py").write_text(source.format(reason=reason))
    command = [sys.executable, "-m", "pytest", "--rootdir=.", "--continue-on-collection-errors"]
    environment = {**os.environ, "CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    closing = run.stdout.splitlines()[-1]
    return {kind: int(number) for number, kind in re.findall(r"(\d+) ([a-z]+)", closing)}


def test_a_skip_in_ci_is_a_failure(tmp_path):
    assert outcome(tmp_path, "no browser", ci="1") == {"failed": 1, "errors": 2, "xfailed": 1}


def test_what_this_machine_cannot_run_may_be_skipped(tmp_path):
    reason = "not on this machine: no GPU"
    assert outcome(tmp_path, reason, ci="1") == {"skipped": 3, "xfailed": 1}


def test_skips_are_allowed_outside_ci(tmp_path):
    assert outcome(tmp_path, "no browser", ci="") == {"skipped": 3, "xfailed": 1}
