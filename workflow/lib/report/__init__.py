"""Self-contained report pages, made from the result tables alone."""

from lib.report.inputs import MultiarchFiles, ReportError
from lib.report.multiarch import multiarch_report
from lib.report.page import assets, index_page, without_run
from lib.report.shape_inputs import ShapeFiles
from lib.report.shapes import shapes_report
from lib.report.single_inputs import SinglearchFiles
from lib.report.singlearch import singlearch_report

__all__ = [
    "MultiarchFiles",
    "ReportError",
    "ShapeFiles",
    "SinglearchFiles",
    "assets",
    "index_page",
    "multiarch_report",
    "shapes_report",
    "singlearch_report",
    "without_run",
]
