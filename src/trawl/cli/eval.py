"""``trawl eval``: retrieval quality on a test collection or on your own judgements."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trawl.cli.options import (
    DEFAULT_LIBRARY,
    JsonOption,
    LibraryOption,
    WeightOption,
    parse_weights,
)
from trawl.cli.output import count_progress, print_json

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
            help="Directory of a test collection, or judgement file (.jsonl, .tsv).",
            show_default=False,
        ),
    ],
    library: LibraryOption = DEFAULT_LIBRARY,
    k: Annotated[int, typer.Option("-k", metavar="N", help="Cutoff rank of the measures.")] = 10,
    weight: WeightOption = None,
    rerank: Annotated[
        str | None,
        typer.Option(
            "--rerank", metavar="MODEL", help="Also evaluate reranking with a cross-encoder."
        ),
    ] = None,
    tune: Annotated[
        bool,
        typer.Option(
            "--tune", help="Fit weights on half of the queries and test them on the rest."
        ),
    ] = False,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="Random seed of the split and the intervals.")
    ] = 0,
    split: Annotated[
        str, typer.Option("--split", metavar="NAME", help="BEIR split of the judgements.")
    ] = "test",
    profile: Annotated[
        str | None,
        typer.Option("--profile", metavar="NAME", help="Models of a new library.  [default: mini]"),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE", help="Plot the results to a .png, .svg or .pdf file."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Measure retrieval quality on queries with known answers.

    A test collection is a directory in BEIR form (corpus.jsonl, queries.jsonl,
    qrels/test.tsv) or SMART form. It is indexed into a temporary library, or into the one
    given with --library. A judgement file (docs/evaluation.md) is run on an existing
    library. Reports nDCG, recall and reciprocal rank for each fusion method and each
    source, with 95 % bootstrap intervals. Requires trawl-multimodal[eval].

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
    # Never add a test collection to the library that TRAWL_LIBRARY names.
    origin = context.get_parameter_source("library")
    is_explicit = origin is not None and origin.name == "COMMANDLINE"
    weights = parse_weights(weight or ())
    with (
        _prepare(source, library, split, profile, keep=is_explicit) as (opened, questions),
        count_progress("evaluating") as progress,
    ):
        evaluation = measure(
            opened,
            questions,
            k=k,
            weights=weights,
            rerank=rerank,
            tune_weights=tune,
            seed=seed,
            base=source if source.is_dir() else source.parent,
            progress=progress,
        )
    if plot is not None:
        from trawl.evaluation.plot import plot as draw

        draw(evaluation, plot, title=f"{source.name}: {evaluation.questions:,} queries")
    _print(evaluation, json=json)


@contextmanager
def _prepare(
    source: Path, library: str, split: str, profile: str | None, *, keep: bool
) -> Iterator[tuple[Library, list[Question]]]:
    """Open the library to evaluate, indexing the collection first. Yields it and the queries."""
    from tempfile import TemporaryDirectory

    from trawl.errors import UsageError
    from trawl.evaluation import add_collection, read_collection, read_judgements
    from trawl.library import Library
    from trawl.locations import is_remote

    if not source.is_dir():
        if profile is not None:
            raise UsageError("--profile is for test collections; a judgement file uses a library")
        questions = read_judgements(source)
        with Library(library) as opened:
            yield opened, questions
        return
    if keep and is_remote(library):
        raise UsageError(
            f"--library {library}: the library of a test collection is kept in a directory; name "
            "one, or omit --library"
        )
    collection = read_collection(source, split)
    with TemporaryDirectory(prefix="trawl-eval-") as scratch:
        place = Path(library) if keep else Path(scratch) / "library"
        # The texts of a kept library are kept beside it, so that the next run skips them.
        texts = place.with_name(f"{place.name}-texts") if keep else Path(scratch) / "texts"
        with Library(place, create=True, profile=profile) as opened:
            with count_progress("indexing") as progress:
                questions, report = add_collection(opened, collection, texts, progress=progress)
            if report.failed:
                from trawl.cli.output import print_message

                count = len(report.failed)
                print_message(
                    f"{count:,} text{' was' if count == 1 else 's were'} not indexed, most often "
                    "because they are empty; their queries are kept"
                )
            yield opened, questions


def _print(evaluation: Evaluation, *, json: bool) -> None:
    if json:
        from trawl.cli.output import evaluation_json

        print_json(evaluation_json(evaluation))
        return
    from trawl.cli.output import console, print_message

    print_evaluation(console(), evaluation)
    for notice in evaluation.notices:
        print_message(notice)


def print_evaluation(out: Console, evaluation: Evaluation) -> None:
    """Print a table per group, one row per fusion method, then the result of tuning."""
    for group, questions in evaluation.groups.items():
        label = "all queries" if group == "all" else f"queries with {group} answers"
        out.print(f"{label} ({questions:,})", style="bold")
        rows = [
            (fusion, [evaluation.figure(fusion, name, group) for name in evaluation.measures])
            for fusion in evaluation.fusions
        ]
        _table(
            out,
            evaluation.measures,
            [(name, [_cell(f) for f in figures]) for name, figures in rows],
        )
    out.print(
        f"Means with {evaluation.level:.0%} intervals. ▲ ▼: significantly better or worse than\n"
        "calibrated (the interval of the paired difference excludes 0).",
        style="dim",
    )
    if evaluation.tuning is None:
        return
    out.print()
    options = " ".join(
        f"--weight {name}={value:g}" for name, value in evaluation.tuning.weights.items()
    )
    out.print(f"fitted: {options}", style="bold")
    for half in (evaluation.tuning.fitted_on, evaluation.tuning.held_out):
        out.print(f"{half.name} ({half.questions:,} queries)")
        _table(
            out,
            evaluation.measures,
            [
                ("weights of 1", [_interval(half.default[name]) for name in evaluation.measures]),
                ("fitted", [_interval(half.tuned[name]) for name in evaluation.measures]),
                ("gain", [_interval(half.gain[name], signed=True) for name in evaluation.measures]),
            ],
        )
    gain = evaluation.tuning.held_out.gain[evaluation.measures[0]]
    better = gain.excludes_zero and gain.mean > 0
    out.print(
        "The fitted weights are also better on the held-out queries: use them with trawl search."
        if better
        else "The fitted weights are not better on the held-out queries: keep weights of 1."
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
