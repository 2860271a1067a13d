"""Pages: sections and their blocks in one file with everything inlined."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2
import plotly.offline
import yaml
from markupsafe import Markup

from lib.report.assets import TEMPLATES
from lib.report.blocks import Block, Hover, Scene, Verdict
from lib.report.inputs import ReportError
from lib.report.section import Section, relative

SUMMARY_OPEN, SUMMARY_CLOSE = '<script type="application/json" id="summary">', "</script>"
RUN_OPEN, RUN_CLOSE = "<!--run-->", "<!--/run-->"


def page(
    title: str,
    lead: str,
    sections: Sequence[Section],
    links: Mapping[str, str],
    *,
    headline: str = "",
    name: str = "",
) -> str:
    """A whole page as HTML text; equal sections give equal text outside the run block.

    Args:
        title: its heading.
        lead: what stands below the heading.
        sections: in the order of the page.
        links: where the files lie that blocks name as their source.
        headline: what the index page says of it.
        name: what the page is of, shown above the heading.
    """
    verdicts = [verdict for section in sections for verdict in section.verdicts]
    return render(
        "page.html.j2",
        links,
        title=title,
        lead=lead,
        name=name,
        sections=sections,
        turning=any(isinstance(block, Scene | Hover) for part in sections for block in part.blocks),
        summary=summary(title, headline, verdicts, name),
    )


def render(template: str, links: Mapping[str, str], **values: object) -> str:
    """Fill a template of `workflow/report`; an unknown variable in it is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )

    def show(block: Block) -> Markup:
        """A block, drawn by the macro that is named as its class."""
        macros = environment.get_template(block.template).module
        return getattr(macros, type(block).__name__.lower())(block)

    environment.globals |= {
        "inline": lambda name: Markup((TEMPLATES / name).read_text()),
        "plotly_js": lambda: Markup(plotly.offline.get_plotlyjs()),
        "links": links,
        "show": show,
    }
    return environment.get_template(template).render(**values)


def summary(title: str, headline: str, verdicts: Sequence[Verdict], name: str = "") -> str:
    """What the index page says of a page, as JSON that is safe inside a script element."""
    goals = [verdict for verdict in verdicts if verdict.state in ("reached", "short")]
    facts = {
        "name": name,
        "title": title,
        "headline": headline,
        "reached": sum(goal.state == "reached" for goal in goals),
        "goals": len(goals),
        "verdicts": [[v.state, v.question, v.answer] for v in verdicts],
    }
    return json.dumps(facts, ensure_ascii=False, indent=1).replace("<", "\\u003c")


def run_facts(run: Mapping) -> dict:
    """The run information as the template shows it; parts that are missing are left out.

    Args:
        run: `config` (plain data), `versions` and `digests` (text by name), `times`
            ([{step, seconds}]) and `machine` (text by name, or a text).
    """
    times = [(entry["step"], float(entry["seconds"])) for entry in run.get("times", ())]
    machine = run.get("machine", {})
    return {
        "config": yaml.safe_dump(run["config"], sort_keys=False) if run.get("config") else "",
        "versions": dict(run.get("versions", {})),
        "digests": dict(run.get("digests", {})),
        "times": times,
        "seconds": sum(seconds for _, seconds in times),
        "machine": dict(machine) if isinstance(machine, Mapping) else {"machine": machine},
    }


def without_run(html: str) -> str:
    """The page without what is true of one run only: equal results give equal text."""
    start, end = html.find(RUN_OPEN), html.find(RUN_CLOSE)
    return html if start < 0 or end < 0 else html[:start] + html[end + len(RUN_CLOSE) :]


def index_page(reports: Sequence[str | Path], base: str | Path, title: str = "Reports") -> str:
    """The page that opens onto the reports.

    Args:
        reports: finished report pages; each says of itself what is shown here.
        base: folder in which the index page will lie (links are relative to it).
        title: heading of the page.

    Raises:
        ReportError: a file is missing or no page of this study.
    """
    cards = [{"href": relative(path, base), **_read_summary(path)} for path in reports]
    return render("index.html.j2", {}, title=title, cards=cards)


def _read_summary(path: str | Path) -> dict:
    try:
        html = Path(path).read_text(encoding="utf-8")
        body = html.split(SUMMARY_OPEN, 1)[1].split(SUMMARY_CLOSE, 1)[0]
        return json.loads(body)
    except FileNotFoundError:
        raise ReportError(f"{path}: no such report") from None
    except (IndexError, UnicodeDecodeError, json.JSONDecodeError):
        raise ReportError(f"{path}: not a report of this study (it holds no summary)") from None
