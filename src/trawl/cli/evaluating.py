"""`trawl eval`: how good the lists are, on a test collection or on judgements of one's own."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trawl.cli.options import (
    DEFAULT_LIBRARY,
    JsonOption,
    LibraryOption,
    WeightOption,
    print_json,
    read_weights,
)

if TYPE_CHECKING:
    from rich.console import Console

    from trawl.evaluation import Evaluation, Figure, Interval, Question
    from trawl.library import Library

_ARROWS = {1: "▲", -1: "▼", 0: " "}


def evaluate(
    context: typer.Context,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER|FILE",
            help="A test collection's folder, or a judgement file (.jsonl, .tsv).",
            show_default=False,
        ),
    ],
    library: LibraryOption = DEFAULT_LIBRARY,
    k: Annotated[
        int, typer.Option("-k", metavar="N", help="How many places of a list are looked at.")
    ] = 10,
    weight: WeightOption = None,
    rerank: Annotated[
        str | None,
        typer.Option("--rerank", metavar="MODEL", help="Measure a cross-encoder too."),
    ] = None,
    tune: Annotated[
        bool,
        typer.Option("--tune", help="Fit weights on half of the questions, test on the rest."),
    ] = False,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="Of the halves and of the intervals.")
    ] = 0,
    split: Annotated[
        str, typer.Option("--split", metavar="NAME", help="Which judgements of BEIR to take.")
    ] = "test",
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile", metavar="NAME", help="The models of a new library; mini if not given."
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw the figures: .png, .svg or .pdf."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Measure the lists by questions with known answers.

    A folder in the form of BEIR (corpus.jsonl, queries.jsonl, qrels/test.tsv) or of SMART
    is indexed into a library that is thrown away, or into the one that --library names
    here. A judgement file asks the library that is open: docs/evaluation.md has its form.
    Each fusion and each source alone is measured by nDCG, recall and reciprocal rank, with
    95 % bootstrap intervals over the questions. Needs trawl-multimodal[eval].

    \b
    Examples:
      trawl eval judgements.jsonl --plot figures.png
      trawl eval ~/beir/scifact --tune --json
    """
    from trawl.evaluation import evaluate as measure

    if plot is not None:
        from trawl.evaluation.plot import check_extension

        check_extension(plot)
    gc.enable()
    # A library that TRAWL_LIBRARY names must not get a test collection's texts.
    origin = context.get_parameter_source("library")
    named = origin is not None and origin.name == "COMMANDLINE"
    weights = read_weights(weight or ())
    with (
        _asked(source, library, split, profile, kept=named) as (opened, questions),
        _progress("asking") as move,
    ):
        found = measure(
            opened,
            questions,
            k=k,
            weights=weights,
            rerank=rerank,
            tune_weights=tune,
            seed=seed,
            base=source if source.is_dir() else source.parent,
            progress=move,
        )
    if plot is not None:
        from trawl.evaluation.plot import plot as draw

        draw(found, plot, title=f"{source.name}: {found.questions:,} questions")
    _print(found, json=json)


@contextmanager
def _asked(
    source: Path, library: Path, split: str, profile: str | None, *, kept: bool
) -> Iterator[tuple[Library, list[Question]]]:
    """Give the library to ask and the questions."""
    from tempfile import TemporaryDirectory

    from trawl.errors import UsageError
    from trawl.evaluation import add_collection, read_collection, read_judgements
    from trawl.library import Library

    if not source.is_dir():
        if profile is not None:
            raise UsageError("--profile is for a new library; a judgement file asks one that is")
        questions = read_judgements(source)
        with Library(library) as opened:
            yield opened, questions
        return
    collection = read_collection(source, split)
    with TemporaryDirectory(prefix="trawl-eval-") as scratch:
        place = library if kept else Path(scratch) / "library"
        # Texts of a library that stays are kept beside it, so that the next run skips them.
        texts = place.with_name(f"{place.name}-texts") if kept else Path(scratch) / "texts"
        with Library(place, create=True, profile=profile) as opened:
            with _progress("indexing") as move:
                questions, report = add_collection(opened, collection, texts, progress=move)
            _tell_failures(len(report.failed))
            yield opened, questions


def _tell_failures(failed: int) -> None:
    if failed:
        from trawl.cli.terminal import complain

        files = "1 text is" if failed == 1 else f"{failed:,} texts are"
        complain(f"{files} not in the library, empty ones mostly; their questions stay")


@contextmanager
def _progress(what: str) -> Iterator[Callable[..., None] | None]:
    """Give what draws a bar on stderr, None where no person watches."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from trawl.cli.terminal import console

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as bars:
        task = bars.add_task(what, total=None)
        yield lambda done, total, *_: bars.update(task, completed=done, total=total)


def _print(found: Evaluation, *, json: bool) -> None:
    if json:
        from trawl.cli.contract import evaluation_json

        print_json(evaluation_json(found))
        return
    from trawl.cli.terminal import complain, console

    print_evaluation(console(), found)
    for notice in found.notices:
        complain(notice)


def print_evaluation(out: Console, found: Evaluation) -> None:
    """A table for each group: a line a fusion, a column a measure; then what tuning gave."""
    for group, questions in found.groups.items():
        said = "all questions" if group == "all" else f"answers that are {group}"
        out.print(f"{said} ({questions:,})", style="bold")
        rows = [
            (fusion, [found.figure(fusion, name, group) for name in found.measures])
            for fusion in found.fusions
        ]
        _table(out, found.measures, [(name, [_cell(f) for f in figures]) for name, figures in rows])
    out.print(
        f"Means with {found.level:.0%} intervals. ▲ ▼: better or worse than calibrated, by a\n"
        "difference whose interval excludes 0.",
        style="dim",
    )
    if found.tuning is None:
        return
    out.print()
    shown = " ".join(f"--weight {name}={value:g}" for name, value in found.tuning.weights.items())
    out.print(f"fitted: {shown}", style="bold")
    for half in (found.tuning.fitted_on, found.tuning.held_out):
        out.print(f"{half.name} ({half.questions:,} questions)")
        _table(
            out,
            found.measures,
            [
                ("weights of 1", [_interval(half.default[name]) for name in found.measures]),
                ("fitted", [_interval(half.tuned[name]) for name in found.measures]),
                ("gain", [_interval(half.gain[name], signed=True) for name in found.measures]),
            ],
        )
    gain = found.tuning.held_out.gain[found.measures[0]]
    better = gain.excludes_zero and gain.mean > 0
    out.print(
        "On the questions held out the fitted weights are better too: give them to trawl search."
        if better
        else "On the questions held out the fitted weights are no better: leave them at 1."
    )


def _cell(figure: Figure) -> str:
    difference = figure.difference
    sign = 0 if difference is None or not difference.excludes_zero else difference.mean
    return f"{_interval(figure.value)} {_ARROWS[(sign > 0) - (sign < 0)]}"


def _interval(found: Interval, *, signed: bool = False) -> str:
    form = "+.3f" if signed else ".3f"
    return f"{found.mean:{form}} {found.low:{form}}–{found.high:{form}}"


def _table(out: Console, columns: tuple[str, ...], rows: list[tuple[str, list[str]]]) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("")
    for name in columns:
        table.add_column(name, no_wrap=True)
    for name, cells in rows:
        table.add_row(name, *cells, style="bold cyan" if name == "calibrated" else "")
    out.print(table)
