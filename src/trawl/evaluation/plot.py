"""Plot an evaluation: means with intervals, one chart per measure and group."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trawl.errors import UsageError
from trawl.evaluation.figures import ALL, DEFAULT, Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EXTENSIONS = (".png", ".svg", ".pdf")

_DEFAULT_COLOUR, _FUSED_COLOUR, _ALONE_COLOUR = "#0b5fa5", "#3d4852", "#9aa5b1"
_GRID_COLOUR, _INK, _QUIET = "#e4e8ec", "#1f2933", "#616e7c"
_LINE_IN, _CHART_WIDTH_IN, _AROUND_IN = 0.27, 3.1, 0.75


def plot(evaluation: Evaluation, file: str | Path, *, title: str = "") -> None:
    """Write a plot to a .png, .svg or .pdf file.

    Raises `UsageError` for another extension, if the file cannot be written, or if matplotlib
    is not installed.
    """
    path = Path(file)
    check_extension(path)
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(
            f"a plot needs matplotlib ({error}); install it: pip install 'trawl-multimodal[eval]'"
        ) from error
    groups, measures = list(evaluation.groups), evaluation.measures
    height_in = _LINE_IN * len(evaluation.fusions) + _AROUND_IN
    # Not pyplot, which looks for a display and keeps every figure in memory.
    figure = Figure(
        figsize=(1.2 + _CHART_WIDTH_IN * len(measures), 0.75 + height_in * len(groups)),
        layout="constrained",
    )
    FigureCanvasAgg(figure)
    charts = figure.subplots(len(groups), len(measures), squeeze=False, sharey=True, sharex="col")
    for row, group in enumerate(groups):
        for column, measure in enumerate(measures):
            _draw(charts[row][column], evaluation, measure, group)
            if row == 0:
                charts[row][column].set_title(measure, fontsize=10.5, color=_INK, pad=9)
        label = "all questions" if group == ALL else f"{group} answers"
        charts[row][0].set_ylabel(
            f"{label}\n{evaluation.groups[group]:,} questions", fontsize=8.5, color=_QUIET
        )
    figure.suptitle(title or "Retrieval quality", fontsize=12, color=_INK, x=0.01, ha="left")
    figure.supxlabel(
        f"mean over questions with its {evaluation.level:.0%} bootstrap interval; "
        f"vertical line: the default, {DEFAULT}",
        fontsize=8,
        color=_QUIET,
    )
    try:
        figure.savefig(path, dpi=160, facecolor="white")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from error


def check_extension(path: Path) -> None:
    """Raise `UsageError` unless plots can be written to this type of file."""
    if path.suffix.lower() not in EXTENSIONS:
        raise UsageError(
            f"cannot plot to {path.name}; the extension must be {', '.join(EXTENSIONS)}"
        )


def _draw(chart: Axes, evaluation: Evaluation, measure: str, group: str) -> None:
    chart.set_axisbelow(True)
    chart.grid(axis="x", color=_GRID_COLOUR, linewidth=0.8)
    for side in ("top", "right", "left"):
        chart.spines[side].set_visible(False)
    chart.spines["bottom"].set_color(_GRID_COLOUR)
    for place, fusion in enumerate(evaluation.fusions):
        value = evaluation.figure(fusion, measure, group).value
        colour = _colour(fusion)
        chart.hlines(place, value.low, value.high, color=colour, linewidth=1.8)
        chart.plot(value.mean, place, "o", color=colour, markersize=5)
        chart.annotate(
            f"{value.mean:.3f}",
            (value.high, place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=7.5,
            color=_QUIET if colour == _ALONE_COLOUR else colour,
        )
        if fusion == DEFAULT:
            chart.axvline(value.mean, color=_DEFAULT_COLOUR, linewidth=0.8, alpha=0.35)
    chart.set_yticks(range(len(evaluation.fusions)), evaluation.fusions, fontsize=9, color=_INK)
    chart.tick_params(axis="y", length=0)
    chart.tick_params(axis="x", labelsize=8, colors=_QUIET, length=0)
    chart.margins(x=0.18)
    chart.locator_params(axis="x", nbins=5)
    chart.set_ylim(len(evaluation.fusions) - 0.4, -0.6)


def _colour(fusion: str) -> str:
    if fusion == DEFAULT:
        return _DEFAULT_COLOUR
    return _ALONE_COLOUR if fusion == "bm25" or "." in fusion else _FUSED_COLOUR
