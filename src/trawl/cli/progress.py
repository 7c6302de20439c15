"""The progress bar of ``trawl add``: on stderr, and only where a person watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class _RateColumn(ProgressColumn):
    """Files a second, over the last half minute."""

    def render(self, task: Task) -> Text:
        """The rate, or nothing while there is none yet."""
        rate = task.finished_speed or task.speed
        return Text(f"{rate:,.1f} files/s" if rate else "", style="cyan")


@contextmanager
def watched(out: Console) -> Iterator[Callable[[int, int, str], None]]:
    """Show a bar while the block runs, moved by calls with (done, total, address)."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("left"),
        console=out,
        transient=True,
        speed_estimate_period=30.0,
    )
    with bar:
        task = bar.add_task("looking for files", total=None)

        def move(done: int, total: int, uri: str) -> None:
            description = "adding" if done < total else "storing"
            bar.update(task, completed=done, total=total, description=description)

        yield move
