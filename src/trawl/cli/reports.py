"""Print reports and the status of a library for people."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from trawl.cli.output import clean
from trawl.cli.render import INDENT, print_pairs, short_path

if TYPE_CHECKING:
    from trawl.library.skipped import Skipped
    from trawl.types import Failure, Modality, Notice, Report, Space, Status

_LISTED_NOTICES = 10
_LISTED_TYPES = 10
_MODALITIES: tuple[Modality, ...] = ("text", "image", "audio")


def print_report(out: Console, report: Report) -> None:
    """Print the number of files per outcome, then each failed file with its reason."""
    moved = ["moved"] if report.moved else []
    outcomes = ["added", "unchanged", "replaced", *moved, "removed"]
    rows: dict[str, str | Text] = {name: f"{getattr(report, name):,}" for name in outcomes}
    rows["failed"] = Text(f"{len(report.failed):,}", style="bold red" if report.failed else "")
    if report.notices:
        rows["notices"] = f"{len(report.notices):,}"
    if report.duplicates:
        rows["duplicates"] = f"{len(report.duplicates):,}  (left out)"
    if report.skipped:
        rows["skipped"] = f"{report.skipped:,}"
    print_pairs(out, rows)
    files = report.added + report.replaced
    rate = f", {files / report.seconds:,.1f} files/s" if files and report.seconds > 0 else ""
    chunks = f"{report.chunks:,} chunk{'' if report.chunks == 1 else 's'}"
    out.print(f"{chunks} in {_duration(report.seconds)}{rate}")
    if report.skipped_types:
        out.print()
        _print_skipped_types(out, report)
    if report.failed:
        out.print()
        print_failures(out, report.failed)
    if report.duplicates:
        out.print()
        for repeat in report.duplicates:
            reason = f"left out: nearly the same as {short_path(repeat.duplicate_of)}"
            _print_reason(out, repeat.uri, reason, "yellow")
    if report.notices:
        out.print()
        print_notices(out, report.notices[:_LISTED_NOTICES])
        more = len(report.notices) - _LISTED_NOTICES
        if more > 0:
            out.print(f"and {more:,} more; list all with: trawl status --notices")


def _print_skipped_types(out: Console, report: Report) -> None:
    """Print the number of skipped files of each extension, an example, and why."""
    from trawl.readers import why_skipped

    types = report.skipped_types
    listed = list(types.items())[:_LISTED_TYPES]
    width = max(len(f"{count:,}") for _, count in listed)
    for suffix, count in listed:
        example = os.path.basename(report.skipped_examples.get(suffix, ""))
        named = f", such as {clean(example)}" if example else ""
        line = f"{count:>{width},} skipped: {clean(why_skipped(suffix))}{named}"
        out.print(Text(line, style="dim"))
    more = len(types) - _LISTED_TYPES
    if more > 0:
        out.print(Text(f"and files of {more:,} more types", style="dim"))
    out.print(Text("list them with: trawl status --skipped", style="dim"))


def print_skipped(out: Console, skipped: Skipped) -> None:
    """Print each skipped file with the reason."""
    out.print()
    if not skipped.files:
        out.print("no file is skipped")
    for one in skipped.files:
        _print_reason(out, one.uri, one.reason, "yellow")
    if skipped.unlisted:
        out.print(f"and {skipped.unlisted:,} more, which are not recorded")


def print_failures(out: Console, failed: Iterable[Failure]) -> None:
    """Print each failed file with its reason."""
    for failure in failed:
        _print_reason(out, failure.uri, failure.reason, "red")


def print_notices(out: Console, notices: Iterable[Notice]) -> None:
    """Print each file that was indexed with a notice."""
    for one in notices:
        _print_reason(out, one.uri, one.notice, "yellow")


def _print_reason(out: Console, uri: str, reason: str, style: str) -> None:
    out.print(Text(clean(short_path(uri)), style=style))
    for line in textwrap.wrap(clean(reason), out.width - len(INDENT), break_on_hyphens=False):
        out.print(INDENT + line)


def print_status(
    out: Console, library: str, status: Status, *, with_failures: bool, with_notices: bool
) -> None:
    """Print counts, version and spaces, and the failed files and the notices if wanted."""
    failed = f"{len(status.failed):,}"
    if status.failed and not with_failures:
        failed += "  (list them with --failed)"
    chunks = ", ".join(f"{status.chunks.get(name, 0):,} {name}" for name in _MODALITIES)
    rows: dict[str, str | Text] = {
        "library": clean(library),
        "documents": f"{status.documents:,}",
        "chunks": chunks,
        "failed": failed,
        "version": f"{status.version:,}",
    }
    if status.notices:
        hint = "" if with_notices else "  (list them with --notices)"
        rows["notices"] = f"{len(status.notices):,}{hint}"
    for space in status.spaces:
        rows[f"space {clean(space.name)}"] = (
            f"{dimensions_of(space)}, {space.metric}, {space.fingerprint[:12]}"
        )
    if status.recall:
        rows["recall@10"] = ", ".join(f"{clean(s)} {r:.3f}" for s, r in status.recall.items())
    print_pairs(out, rows)
    if with_failures and status.failed:
        out.print()
        print_failures(out, status.failed)
    if with_notices and status.notices:
        out.print()
        print_notices(out, status.notices)


def dimensions_of(space: Space) -> str:
    """Return the size of a space's vectors, such as "256 dimensions" or "64 x 128 dimensions"."""
    sets = f"{space.parts} x " if space.parts > 1 else ""
    return f"{sets}{space.width} dimensions"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
