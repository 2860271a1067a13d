"""Progress of long work: a bar on a terminal, plain lines with the time left in logs."""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from lib.core import lifeline
from lib.core.errors import InputError

T = TypeVar("T")
log = logging.getLogger("lib")
PLAIN_EVERY = 10.0  # seconds between progress lines
LINE = "{desc}{bar:24} {percentage:.0f}% {n_fmt}/{total_fmt}, {remaining} left{postfix}"


class LogFile(logging.FileHandler):
    """A log file that a full disk does not stop: the terminal has what is missing there."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        """Leave the line out."""

    def close(self) -> None:
        """Close the file, also where its last bytes find no room."""
        with suppress(OSError):
            super().close()


@contextmanager
def job(label: str, log_file: str | Path | None = None) -> Iterator[logging.Logger]:
    """Log what happens inside to stderr and to `log_file`, uncaught errors included.

    An `InputError` is the user's to mend: it ends the process (status 1) with its message alone.
    Other errors do as well, with the traceback in the log file; without one they are raised again.
    Jobs of a study run side by side on one terminal, so every line names the job it comes from.
    They end with the run that started them (`lib.core.lifeline`).
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if log_file:
        Path(log_file).parent.mkdir(parents=True, exist_ok=True)
        handlers.append(LogFile(log_file, mode="w", encoding="utf-8"))
    for handler in handlers:
        handler.setFormatter(logging.Formatter(f"%(asctime)s {label}: %(message)s", "%H:%M:%S"))
        log.addHandler(handler)
    log.setLevel(logging.INFO)
    lifeline.follow()
    start = time.monotonic()
    try:
        yield log
        log.info("done in %s", tqdm.format_interval(time.monotonic() - start))
    except InputError as error:
        log.error("failed: %s", error)
        raise SystemExit(1) from None
    except BaseException as error:
        with suppress(OSError):
            for handler in handlers[1:]:
                handler.stream.write(traceback.format_exc())
        log.error("failed: %s: %s", type(error).__name__, error)
        if log_file and isinstance(error, Exception):
            raise SystemExit(1) from error
        raise
    finally:
        for handler in handlers:
            log.removeHandler(handler)
            handler.close()


def track(items: Iterable[T], what: str, total: int | None = None, note=lambda: "") -> Iterator[T]:
    """Iterate over `items`, saying at most every ten seconds how far it is and what is left.

    `note` gives a few words on the state of the work (a loss, say) for each line.
    """
    total = len(items) if total is None else total  # type: ignore[arg-type]
    start = last = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last < PLAIN_EVERY and not (done == total and now - start > PLAIN_EVERY):
            continue
        last = now
        log.info(
            "%s",
            tqdm.format_meter(
                done, total, now - start, prefix=f"{what} ", bar_format=LINE, postfix=note() or None
            ),
        )
