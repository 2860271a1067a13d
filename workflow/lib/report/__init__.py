"""Self-contained report pages, made from the result tables alone."""

from lib.report.inputs import MultiarchFiles, ReportError
from lib.report.multiarch import multiarch_report
from lib.report.page import assets, index_page, without_run

__all__ = [
    "MultiarchFiles",
    "ReportError",
    "assets",
    "index_page",
    "multiarch_report",
    "without_run",
]
