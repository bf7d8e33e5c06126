"""The command that tells all of a model on one page."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import typer

import tractable as tr
from tractable._blocks import card, note, text
from tractable.cli import _json, _report_data, _report_model
from tractable.cli._commands import Model, app
from tractable.cli._common import Common
from tractable.cli._cutting import Cut
from tractable.cli._help import GroupedHelp, examples
from tractable.cli._limited import OutOfTimeError, TimeLeft, within
from tractable.cli._options import Output, Seed
from tractable.cli._page import page
from tractable.cli._places import check_apart, check_writable
from tractable.cli._report_base import Report, some_of
from tractable.cli._report_pictures import as_card, pictures
from tractable.cli._spread import spread
from tractable.cli._table_files import values_of
from tractable.formats._base import write

PAGES = (".htm", ".html")

Section = tuple[str, float, Callable[[Report], None]]
PARTS: tuple[Section, ...] = (
    ("what it is", 1.0, _report_model.about),
    ("the price of some queries", 0.5, _report_model.priced),
    ("plans", 1.0, _report_model.plans),
    ("marginals", 0.4, _report_model.beliefs),
    ("tables", 0.5, _report_model.tables),
    ("the likelihood", 0.6, _report_data.likelihood),
    ("simple models beside it", 0.5, _report_data.yardsticks),
    ("the rows that fit worst", 1.0, _report_data.worst),
    ("chains", 0.5, _report_data.chains),
    ("diagnostics", 1.0, _report_data.exactness),
)
"""The parts of a report, with the share of the seconds left that each may take."""

ORDER = (_report_model.IS, _report_model.WHY, _report_model.LEARNED, _report_data.LIKELY, _report_data.CHAINS)
LEFT = "What is left out"
LONGER = "it takes longer than its share of --seconds; a larger number gives it more"


@dataclass(frozen=True)
class ReportTerms:
    """What it may take."""

    seconds: Annotated[float, typer.Option(min=1.0, help="The time for all of it; what does not fit is left out.")] = (
        60.0
    )
    seed: Seed = 0


@app.command(
    cls=GroupedHelp,
    epilog=examples(
        "report asia.bif -o asia.html",
        "report weather.safetensors days.csv --by station -o weather.html",
    ),
)
@spread
def report(
    model: Model,
    output: Output,
    cut: Cut,
    terms: ReportTerms,
    common: Common,
    data: Annotated[
        str | None,
        typer.Argument(metavar="[DATA]", help="Rows of data, or sequences: how likely they are.", show_default=False),
    ] = None,
) -> None:
    """Tell all of a model on one page of HTML: what it is, what it costs, what was learned, how well it fits data.

    With data it says how likely these are, with an interval, beside independent columns and a mixture, and which rows
    fit worst. Nothing is loaded from elsewhere, and there is no script: the file can be mailed. What is large is cut,
    and what takes longer than --seconds is left out; the page says so.
    """
    check_apart({"MODEL": model, "DATA": data} | cut.files, {"--output": output})
    check_writable(output, PAGES)
    told = _begun(model, data, cut, terms, common)
    try:
        for part in PARTS:
            _add(told, part)
        _draw(told)
    finally:
        told.time.close()
    _add_left(told)
    write(output, _page_of(told).encode("utf-8"))
    if common.json:
        return _json.write({**told.record, "output": output, "left_out": told.left})
    common.tell(
        f"wrote {output}: {len(told.sections)} sections" + (f"; left out: {'; '.join(told.left)}" if told.left else "")
    )


def _begun(path: str, data: str | None, cut: Cut, terms: ReportTerms, common: Common) -> Report:
    """The model and the rows."""
    model = common.load(path)
    time = TimeLeft(terms.seconds, common.progress, len(PARTS) + 1)
    out = Report(path, model, time, {"memory": common.memory, "key": terms.seed}, data)
    if data is not None:
        rows = cut.data(model, data)
        with values_of(data):
            out.rows, out.numbers, out.n_rows = some_of(rows, out.sequential)
            if not out.n_rows:
                raise tr.ModelError("there are no rows")
    return out


def _add(told: Report, part: Section) -> None:
    """One part, if there is time for it and the budget allows it."""
    what, share, work = part
    told.time.at(what)
    try:
        with values_of(told.data):
            within(share * told.time.left, lambda: work(told))
    except OutOfTimeError:
        told.left.append(f"{what}: {LONGER}")
    except tr.BudgetError as error:
        told.left.append(f"{what}: {error}")
    except tr.UnsupportedError as error:
        told.left.append(f"{what}: {error}")
    told.time.done()


def _draw(told: Report) -> None:
    """The pictures, after what stands in their sections, but for those of what was learned, which come first."""
    told.time.at("pictures")
    drawn: dict[str, list[str]] = {}
    for section, title, said, figure in pictures(told):
        try:
            found = within(0.7 * told.time.left, lambda figure=figure: figure())
            drawn.setdefault(section, []).append(as_card(title, said, found))
        except OutOfTimeError:
            told.left.append(f"the picture {title}: {LONGER}")
        except ModuleNotFoundError as error:
            return told.left.append(f"pictures: {error}")
        except (ValueError, tr.UnsupportedError) as error:  # too much for a page, or nothing to draw
            told.left.append(f"the picture {title}: {error}")
    for section, parts in drawn.items():
        own = told.sections.setdefault(section, [])
        own[:] = [*parts, *own] if section == _report_model.LEARNED else [*own, *parts]
    told.time.done()


def _add_left(told: Report) -> None:
    if told.left:
        told.add(LEFT, card("Not on this page", *(note(text(own)) for own in told.left)))


def _page_of(told: Report) -> str:
    title = " and ".join(os.path.basename(path) for path in (told.path, told.data) if path)
    said = f"{told.model!r}; tractable {tr.__version__}"
    return page(title, said, [(name, told.sections.get(name, [])) for name in (*ORDER, LEFT)])
