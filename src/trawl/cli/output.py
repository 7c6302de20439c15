"""Output: safe text, consoles, progress bars, and the stable JSON of ``--json``."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import ProgressColumn, TaskID

    from trawl.evaluation import Evaluation, Half
    from trawl.library.interface import DocumentInfo, DocumentView
    from trawl.library.skipped import Skipped
    from trawl.types import Answer, Facet, Failure, Hit, Place, Report, Space, Status

PIPE_WIDTH = 80
MAX_WIDTH = 100

_UNSAFE = {"Cc", "Cs", "Zl", "Zp"}
# Characters that change the direction of the text after them, and can disguise a name.
_DIRECTIONS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f"


# --- text ------------------------------------------------------------------------------


def clean(text: str) -> str:
    """Return text with control and direction characters escaped."""
    if text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in _UNSAFE or character in _DIRECTIONS
        else character
        for character in text
    )


def console(*, stderr: bool = False) -> Console:
    """Return a console at most `MAX_WIDTH` wide, or `PIPE_WIDTH` if it is not a terminal."""
    from rich.console import Console

    out = Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)
    out.width = min(out.width, MAX_WIDTH) if out.is_terminal else PIPE_WIDTH
    return out


def print_message(message: str) -> None:
    """Print a message to stderr. Its line breaks are kept."""
    lines = "\n".join(clean(line) for line in message.split("\n"))
    print(f"trawl: {lines}", file=sys.stderr)


# --- progress --------------------------------------------------------------------------


@contextmanager
def file_progress() -> Iterator[
    tuple[Callable[[int, int, str], None], Callable[[str, int, int | None], None]]
]:
    """Show a progress bar on stderr: `trawl add`.

    Yields functions to call with (done, total, address) after each file, and with (address,
    pages done, total or None) while a file is read.
    """
    from rich.progress import Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            rate = task.finished_speed or task.speed
            return Text(f"{rate:,.1f} files/s" if rate else "", style="cyan")

    with Progress(
        *_counting_columns(),
        Rate(),
        TimeRemainingColumn(compact=True),
        TextColumn("left"),
        TextColumn("{task.fields[page]}", style="dim"),
        console=console(stderr=True),
        transient=True,
        speed_estimate_period=30.0,
    ) as progress:
        task = progress.add_task("scanning", total=None, page="")
        shown = ""

        def update(done: int, total: int, uri: str) -> None:
            description = "adding" if done < total else "storing"
            progress.update(task, completed=done, total=total, description=description)
            if uri == shown:
                progress.update(task, page="")

        def update_pages(uri: str, done: int, total: int | None) -> None:
            nonlocal shown
            shown = uri
            of = f" of {total:,}" if total else ""
            name = clean(PurePath(uri).name)
            name = name if len(name) <= 24 else f"{name[:11]}…{name[-12:]}"
            progress.update(task, page=f"{name}: {done:,}{of}")

        yield update, update_pages


@contextmanager
def count_progress(description: str) -> Iterator[Callable[..., None] | None]:
    """Show a progress bar on stderr for calls of (done, total, ...); None if not a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import Progress

    with Progress(*_counting_columns(), console=console(stderr=True), transient=True) as progress:
        task = progress.add_task(description, total=None)
        yield lambda done, total, *_: progress.update(task, completed=done, total=total)


@contextmanager
def download_progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show a progress bar per file on stderr for calls of (name, bytes done, bytes in all)."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    out = console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=out,
        disable=not out.is_terminal,
    ) as progress:
        tasks: dict[str, TaskID] = {}

        def update(name: str, done_bytes: int, total_bytes: int) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(clean(name), total=total_bytes)
            progress.update(tasks[name], completed=done_bytes)

        yield update


def _counting_columns() -> list[ProgressColumn]:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

    return [TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn()]


# --- JSON ------------------------------------------------------------------------------
# `docs/json.md` describes these objects. Keys may be added; none is renamed, removed or
# redefined without a new major version.

_HIT = (
    "rank", "score", "chunk_id", "document_id", "uri", "modality", "title", "snippet",
    "span", "metadata", "evidence", "label", "links", "gone", "duplicate_of", "duplicates",
)  # fmt: skip
_CHUNK = ("chunk_id", "modality", "text", "detail", "label", "words", "links")
_DOCUMENT = (
    "document_id", "uri", "title", "media_type", "size_bytes", "added_at", "metadata", "error",
    "notices",
)  # fmt: skip
_REPORT = (
    "added", "unchanged", "replaced", "moved", "removed", "failed", "notices", "skipped",
    "skipped_types", "skipped_examples", "duplicates", "chunks", "seconds",
)  # fmt: skip


def print_json(fields: Mapping[str, Any]) -> None:
    """Print one line of JSON to stdout."""
    sys.stdout.buffer.write(encode(fields))
    sys.stdout.flush()


def encode(fields: Mapping[str, Any]) -> bytes:
    """Return one line of JSON in UTF-8; text that UTF-8 cannot hold is escaped as ``\\uXXXX``.

    Dates become ISO 8601 text, NaN and infinity null.
    """
    from pydantic_core import to_jsonable_python

    plain = to_jsonable_python(fields, inf_nan_mode="null", fallback=lambda value: value.item())
    try:
        return (json.dumps(plain, ensure_ascii=False, allow_nan=False) + "\n").encode()
    except UnicodeEncodeError:
        return (json.dumps(plain, allow_nan=False) + "\n").encode("ascii")


def answer_json(answer: Answer) -> dict[str, Any]:
    """Return the object that ``trawl search`` prints."""
    found: dict[str, Any] = {
        "hits": [_hit(hit) for hit in answer.hits],
        **_fields(answer, ("no_good_match", "confidence", "notices", "more", "cursor", "took_ms")),
    }
    if answer.total is not None:
        found["total"] = answer.total
    if answer.facets:
        found["facets"] = _facets(answer.facets)
    if answer.libraries:
        found["libraries"] = [
            _fields(one, ("name", "took_ms", "error")) for one in answer.libraries
        ]
    return found


def _hit(hit: Hit) -> dict[str, Any]:
    moments = [
        {"chunk_id": one.chunk_id, "score": one.score, "span": one.span.as_dict()}
        for one in hit.moments
    ]
    library = {"library": hit.library} if hit.library else {}
    return (
        _fields(hit, _HIT)
        | library
        | {
            "span": hit.span.as_dict(),
            "moments": moments,
            "places": _places(hit.places),
        }
    )


def _places(places: Iterable[Place]) -> list[dict[str, Any]]:
    return [_fields(place, ("document_id", "uri")) for place in places]


def list_json(
    documents: Iterable[DocumentInfo], total: int, facets: Iterable[Facet]
) -> dict[str, Any]:
    """Return the object that ``trawl list`` prints."""
    found: dict[str, Any] = {
        "documents": [_fields(document, _DOCUMENT) for document in documents],
        "total": total,
    }
    counted = _facets(facets)
    return found | {"facets": counted} if counted else found


def _facets(facets: Iterable[Facet]) -> dict[str, Any]:
    return {
        facet.key: [{"value": value, "documents": count} for value, count in facet.counts]
        for facet in facets
    }


def report_json(report: Report) -> dict[str, Any]:
    """Return the object that ``trawl add`` prints."""
    return _fields(report, _REPORT)


def status_json(
    status: Status,
    *,
    with_failures: bool,
    with_notices: bool = False,
    skipped: Skipped | None = None,
    libraries: Mapping[str, Status] | None = None,
) -> dict[str, Any]:
    """Return the object that ``trawl status`` prints; `libraries` are several ones' own."""
    found: dict[str, Any] = {
        "documents": status.documents,
        "chunks": {name: status.chunks.get(name, 0) for name in ("text", "image", "audio")},
        "failed": len(status.failed),
        "notices": len(status.notices),
        "spaces": _spaces(status.spaces),
        "version": status.version,
    }
    if with_failures:
        found["failures"] = _failures(status.failed)
    if with_notices:
        found["noticed"] = [_fields(one, ("uri", "notice")) for one in status.notices]
    if skipped is not None:
        found["skipped"] = _failures(skipped.files)
        found["skipped_unlisted"] = skipped.unlisted
    if libraries:
        found["libraries"] = {
            name: status_json(one, with_failures=False) for name, one in libraries.items()
        }
    return found


def contents_json(contents: DocumentView) -> dict[str, Any]:
    """Return the object that ``trawl show`` prints."""
    chunks = [_fields(chunk, _CHUNK) | {"span": chunk.span.as_dict()} for chunk in contents.chunks]
    return _fields(contents.document, _DOCUMENT) | {
        "chunks": chunks,
        "places": _places(contents.places),
        "gone": contents.gone,
    }


def edited_json(document: DocumentInfo) -> dict[str, Any]:
    """Return the object that ``trawl edit`` prints."""
    return _fields(document, ("document_id", "title", "metadata"))


def init_json(library: str, spaces: Iterable[Space]) -> dict[str, Any]:
    """Return the object that ``trawl init`` prints."""
    return {"library": library, "spaces": _spaces(spaces)}


def removed_json(removed: int) -> dict[str, Any]:
    """Return the object that ``trawl rm`` prints."""
    return {"removed": removed}


def evaluation_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return the object that ``trawl eval`` prints."""
    tuning = evaluation.tuning
    return {
        **_fields(
            evaluation, ("questions", "k", "seed", "level", "resamples", "weights", "groups")
        ),
        "figures": [
            {
                **_fields(figure, ("fusion", "group", "measure")),
                **_fields(figure.value, ("mean", "low", "high")),
                "difference": figure.difference,
            }
            for figure in evaluation.figures
        ],
        "tuning": tuning
        and {
            "weights": tuning.weights,
            "fitted_on": _half(tuning.fitted_on),
            "held_out": _half(tuning.held_out),
        },
        "notices": evaluation.notices,
    }


def _half(half: Half) -> dict[str, Any]:
    return _fields(half, ("questions", "default", "tuned", "gain"))


def _failures(failures: Iterable[Failure]) -> list[dict[str, Any]]:
    return [_fields(failure, ("uri", "reason")) for failure in failures]


def _spaces(spaces: Iterable[Space]) -> list[dict[str, Any]]:
    return [
        _fields(space, ("name", "dimension", "parts", "metric", "fingerprint")) for space in spaces
    ]


def _fields(value: object, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(value, name) for name in names}
