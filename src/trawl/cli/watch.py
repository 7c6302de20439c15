"""The command ``trawl watch``."""

from __future__ import annotations

import gc
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trawl.cli.options import (
    DEFAULT_LIBRARY,
    JsonOption,
    LibraryOption,
    open_local_library,
    use_one_blas_thread,
)

if TYPE_CHECKING:
    from trawl.types import Change

_KINDS = ("added", "changed", "moved", "removed", "failed", "skipped")


def watch(
    folders: Annotated[
        list[str], typer.Argument(metavar="DIR", help="Directories.", show_default=False)
    ],
    library: LibraryOption = DEFAULT_LIBRARY,
    meta: Annotated[
        list[str] | None,
        typer.Option(
            "--meta", "-m", metavar="KEY=VALUE", help="Metadata for every file. Repeatable."
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            help="Files to read at the same time.  [default: number of processors, at most 8]",
        ),
    ] = None,
    poll: Annotated[
        bool,
        typer.Option("--poll", help="Compare all files every second, for network drives."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Keep the library equal to directories while they change. Stop with Ctrl-C.

    Adds what is new or changed, removes the documents of deleted files, and then waits for
    changes. A file is added once it has not changed for half a second; one that cannot be added
    is tried again a few times. Creates the library if it does not exist.

    \b
    Examples:
      trawl watch ~/papers ~/photos
      trawl watch /mnt/share/scans --poll --meta source=scanner
    """
    use_one_blas_thread()
    from trawl.library.watching import Watcher
    from trawl.readers.values import coerce_option

    given = dict(coerce_option(option) for option in meta or ())
    metadata = {key: None if value == "" else value for key, value in given.items()}
    out = _Output([Path(folder).resolve() for folder in folders], json)
    # `kill` and service managers end the command as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    gc.enable()
    with open_local_library(library, create=True, reader_workers=workers) as opened:
        watcher = Watcher(
            opened, folders, out.change, out.message, metadata=metadata or None, poll=poll
        )
        try:
            watcher.run(out.ready)
        except KeyboardInterrupt:
            out.summary()


class _Output:
    """Prints changes as they happen, as lines of text or of JSON. Thread-safe."""

    def __init__(self, folders: list[Path], json: bool) -> None:
        self._folders = folders
        self._json = json
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def change(self, change: Change) -> None:
        with self._lock:
            self._counts[change.kind] += 1
            if self._json:
                self._print_json({"change": change.kind, "uri": change.uri, "reason": change.reason,
                                  "was": change.was, "notices": list(change.notices)})  # fmt: skip
                return
            text = self._short(change.uri)
            if change.was:
                text = f"{self._short(change.was)} → {text}"
            if change.reason:
                text += f": {change.reason}"
            self._print(f"{change.kind:<8} {text}")
            for notice in change.notices:
                self._print(f"{'':8} {notice}")

    def message(self, text: str) -> None:
        with self._lock:
            if self._json:
                self._print_json({"message": text})
            else:
                self._print(text)

    def ready(self, files: int) -> None:
        names = ", ".join(map(str, self._folders))
        self.message(f"watching {files:,} file{'' if files == 1 else 's'} in {names}; "
                     "stop with Ctrl-C")  # fmt: skip

    def summary(self) -> None:
        counts = {kind: self._counts[kind] for kind in _KINDS}
        with self._lock:
            if self._json:
                self._print_json({"summary": counts})
                return
            listed = ", ".join(f"{count:,} {kind}" for kind, count in counts.items() if count)
            self._print(f"stopped; {listed or 'nothing changed'}")

    def _short(self, uri: str) -> str:
        """Return a path relative to the only watched folder, or the whole address."""
        if len(self._folders) == 1:
            return uri.removeprefix(f"{self._folders[0]}/")
        return uri

    @staticmethod
    def _print(text: str) -> None:
        from trawl.cli.output import clean

        print(f"{time.strftime('%H:%M:%S')}  {clean(text)}", flush=True)

    @staticmethod
    def _print_json(fields: dict[str, Any]) -> None:
        from trawl.cli.output import print_json

        print_json({"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **fields})
