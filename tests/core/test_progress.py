"""What a person at the terminal and a reader of the logs see of long work."""

import re
from types import SimpleNamespace

import pytest

from lib.core import progress
from lib.core.progress import job, log, track
from lib.zoo.store import ShardError

STAMP = r"\d\d:\d\d:\d\d"


class Clock:
    """A clock that a test moves by hand."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


def lines_of(clock, seconds, path, **options):
    """Progress lines, without time stamps, of work whose items take so many seconds each."""
    with job("zoo ResNet8-0", path):
        for second in track(seconds, "training", **options):
            clock.now += second
    stamped = path.read_text(encoding="utf-8").splitlines()
    assert all(re.match(rf"{STAMP} zoo ResNet8-0: ", line) for line in stamped)
    return [line[9:].removeprefix("zoo ResNet8-0: ") for line in stamped]


def test_lines_go_to_the_terminal_and_to_the_log_alike(tmp_path, capsys):
    path = tmp_path / "logs" / "zoo.log"
    with job("zoo ResNet8-0", path) as logger:
        logger.info("loss %.2f", 0.5)
        log.warning("two networks diverged – left out")
    err = capsys.readouterr()
    assert err.out == ""
    assert err.err == path.read_text(encoding="utf-8")
    patterns = ("loss 0.50", "two networks diverged – left out", "done in 00:00")
    assert len(err.err.splitlines()) == len(patterns)
    for line, pattern in zip(err.err.splitlines(), patterns, strict=True):
        assert re.fullmatch(f"{STAMP} zoo ResNet8-0: {pattern}", line)


def test_a_job_needs_no_log_file(capsys):
    with job("here"):
        log.info("hello")
    assert "here: hello" in capsys.readouterr().err


def fails():
    raise ValueError("no such shard")


def test_an_error_is_one_line_on_the_terminal_and_its_traceback_is_in_the_log(tmp_path, capsys):
    path = tmp_path / "zoo.log"
    with pytest.raises(SystemExit) as ended, job("extract", path):
        fails()
    assert ended.value.code == 1 and isinstance(ended.value.__cause__, ValueError)
    text = path.read_text()
    assert "Traceback (most recent call last)" in text and "in fails" in text
    last = text.splitlines()[-1]
    assert re.fullmatch(rf"{STAMP} extract: failed: ValueError: no such shard", last)
    assert "done in" not in text
    assert capsys.readouterr().err == f"{last}\n"


def test_without_a_log_an_error_is_raised_again():
    with pytest.raises(ValueError, match="no such shard"), job("extract"):
        fails()


def test_what_is_the_users_to_mend_ends_the_process_with_its_message_alone(tmp_path, capsys):
    path = tmp_path / "zoo.log"
    with pytest.raises(SystemExit) as ended, job("extract", path):
        raise ShardError("shard_000.h5 is truncated")
    assert ended.value.code == 1 and ended.value.__suppress_context__
    assert re.fullmatch(rf"{STAMP} extract: failed: shard_000.h5 is truncated\n", path.read_text())
    assert capsys.readouterr().err == path.read_text()


def test_an_interrupt_is_logged_too(tmp_path):
    with pytest.raises(KeyboardInterrupt), job("extract", tmp_path / "log"):
        raise KeyboardInterrupt
    assert "failed: KeyboardInterrupt" in (tmp_path / "log").read_text()


def test_a_job_leaves_no_handler_behind_and_starts_its_log_anew(tmp_path):
    before = list(log.handlers)
    for word in ("first", "second"):
        with job("zoo", tmp_path / "log"):
            log.info(word)
    assert log.handlers == before
    assert "first" not in (tmp_path / "log").read_text()
    assert "second" in (tmp_path / "log").read_text()


def test_short_work_says_nothing(clock, tmp_path):
    assert lines_of(clock, [0.5] * 10, tmp_path / "log") == ["done in 00:05"]


def test_a_line_has_bar_count_time_left_and_note(clock, tmp_path):
    lines = lines_of(clock, [10] * 4, tmp_path / "log", note=lambda: "loss 0.31")
    assert lines[0] == f"training {'█' * 6}{' ' * 18} 25% 1/4, 00:30 left, loss 0.31"
    assert lines[-2] == f"training {'█' * 24} 100% 4/4, 00:00 left, loss 0.31"
    assert len(lines) == 5


def test_at_most_one_line_in_ten_seconds_and_one_at_the_end(clock, tmp_path):
    lines = lines_of(clock, [1] * 95, tmp_path / "log")
    counts = [int(re.search(r"(\d+)/95", line)[1]) for line in lines[:-1]]
    assert counts == [10, 20, 30, 40, 50, 60, 70, 80, 90, 95]
    left = [re.search(r", (\S+) left$", line)[1] for line in lines[:-1]]
    assert left[:2] == ["01:25", "01:15"] and left[-1] == "00:00"


def test_hours_left_are_said_as_hours(clock, tmp_path):
    lines = lines_of(clock, [60, 60], tmp_path / "log", total=200)
    assert "1/200, 3:19:00 left" in lines[0]


def test_what_is_tracked_comes_through_and_a_total_serves_what_has_no_length(clock, tmp_path):
    assert list(track([3, 1, 2], "x")) == [3, 1, 2]
    assert list(track([], "x")) == []
    lines = lines_of(clock, iter([20, 20]), tmp_path / "log", total=2)
    assert "50% 1/2, 00:20 left" in lines[0]


def test_the_state_is_asked_for_only_when_a_line_is_due(clock, tmp_path):
    asked = []

    def note():
        asked.append(clock.now)
        return ""

    lines = lines_of(clock, [4] * 5, tmp_path / "log", note=note)
    assert asked == [1012, 1020] and len(lines) == 3
