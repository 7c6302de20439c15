"""The commands that manage a library. Each imports what it needs when it runs."""

from __future__ import annotations

import gc
import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from trawl.cli.options import (
    DEFAULT_LIBRARIES,
    DEFAULT_LIBRARY,
    AddressOption,
    CopyOption,
    EngineOption,
    GpusOption,
    JsonOption,
    LibrariesOption,
    LibraryOption,
    MetaOption,
    PruneOption,
    RetryFailedOption,
    SkipDuplicatesOption,
    TextKeyOption,
    UriKeyOption,
    WorkersOption,
    full_address,
    library_name,
    open_libraries,
    open_library,
    use_one_blas_thread,
)
from trawl.cli.output import print_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from trawl.library import RayCluster
    from trawl.types import Report


def init(
    library: LibraryOption = DEFAULT_LIBRARY,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile", metavar="NAME", help="Models to use (see trawl models).  [default: mini]"
        ),
    ] = None,
    dimension: Annotated[
        int | None,
        typer.Option(
            "--dimension",
            metavar="N",
            help="Dimensions of the vectors, for models that offer several: fewer take less "
            "space and time.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Create an empty library. Does nothing if it exists.

    \b
    Examples:
      trawl init
      trawl init --library ~/papers.trawl --profile standard --dimension 256
    """
    from trawl.library import Library

    with Library(library, create=True, profile=profile, dimension=dimension) as opened:
        spaces = opened.status().spaces
    if json:
        from trawl.cli.output import init_json

        print_json(init_json(full_address(library), spaces))
        return
    from trawl.cli.output import clean, console
    from trawl.cli.reports import dimensions_of

    names = ", ".join(f"{space.name}, {dimensions_of(space)}" for space in spaces)
    console().print(clean(f"library at {library} ({names}); add files with: trawl add FOLDER"))


def add(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH",
            help="Files, directories and addresses of objects; - reads JSON lines.",
            show_default=False,
        ),
    ],
    library: LibraryOption = DEFAULT_LIBRARY,
    meta: MetaOption = None,
    prune: PruneOption = False,
    retry_failed: RetryFailedOption = False,
    skip_duplicates: SkipDuplicatesOption = False,
    copy: CopyOption = False,
    workers: WorkersOption = None,
    engine: EngineOption = "local",
    address: AddressOption = None,
    gpus: GpusOption = None,
    uri_key: UriKeyOption = "uri",
    text_key: TextKeyOption = "text",
    json: JsonOption = False,
) -> None:
    """Add or update files, folders, objects or records.

    Objects are those of a store, such as s3://my-bucket/papers; records come from stdin (-).
    Skips unchanged files, replaces changed ones, and keeps the documents of moved ones. Creates
    the library if it does not exist. Unreadable files are reported and skipped; the exit code is
    then 3. A file that crashed its reader, or took too long, is read again only if it changes,
    or with --retry-failed.

    An address such as s3://bucket/papers stands for the objects at and below it (gs:// and az://
    alike; docs/object-storage.md has the credentials).

    With - for the path, each line of stdin is a record: a JSON object with a uri, which is any
    unique text, and its content as text, path or base64. All other keys are metadata
    (docs/records.md).

    \b
    Examples:
      trawl add papers/ photos/
      trawl add talk.mp3 --meta year=2024 --meta speaker="Marie Curie"
      trawl add papers/ --prune
      trawl add s3://my-bucket/papers
      trawl add papers/ --copy --library s3://my-bucket/library
      trawl add scans/ --engine ray --workers 8
      TRAWL_READER_TIMEOUT_S=600 trawl add papers/ --retry-failed
      echo '{"uri": "note:1", "text": "A muon decays.", "year": 2019}' | trawl add -
      trawl add - --uri-key recid --text-key abstract < records.jsonl
    """
    use_one_blas_thread()
    from trawl.errors import UsageError
    from trawl.readers.values import coerce_option

    given = dict(coerce_option(option) for option in meta or ())
    metadata = {key: None if value == "" else value for key, value in given.items()}
    on_ray = engine == "ray"
    alone = len(paths) == 1 and not (prune or retry_failed or skip_duplicates or copy or on_ray)
    if "-" in paths and not alone:
        raise UsageError(
            "- reads records from stdin; it stands alone, without --prune, --retry-failed, "
            "--skip-duplicates, --copy and --engine ray"
        )
    if not on_ray and (address is not None or gpus is not None):
        raise UsageError("--address and --gpus require --engine ray")

    readers = None if on_ray else workers
    with open_library(library, create=True, reader_workers=readers) as opened:
        if paths == ["-"]:
            work = partial(
                opened.add_json_lines,
                sys.stdin.buffer,
                metadata=metadata,
                uri_key=uri_key,
                text_key=text_key,
            )
        else:
            work = partial(
                opened.add,
                paths,
                metadata=metadata,
                prune=prune,
                retry_failed=retry_failed,
                skip_duplicates=skip_duplicates,
                copy=copy,
                engine=_ray_cluster(address, workers, gpus) if on_ray else "local",
            )
        report = _with_progress(work, json=json)
    _print_report(report, json=json)


def _ray_cluster(address: str | None, workers: int | None, gpus: float | None) -> RayCluster:
    from trawl.library import RayCluster

    return RayCluster(address, workers, gpus=gpus or 0)


def _with_progress(work: Callable[..., Report], *, json: bool) -> Report:
    """Add documents, with a progress bar if stderr is a terminal and `json` is off."""
    from trawl.cli.output import file_progress, print_message

    gc.enable()
    try:
        if json or not sys.stderr.isatty():
            return work()
        with file_progress() as (progress, pages):
            return work(progress=progress, pages=pages)
    except KeyboardInterrupt:
        print_message("interrupted; repeat the command to resume where it left off")
        raise


def _print_report(report: Report, *, json: bool) -> None:
    """Print the outcome of `add`, and exit with code 3 if something failed."""
    if json:
        from trawl.cli.output import report_json

        print_json(report_json(report))
    else:
        from trawl.cli.output import console
        from trawl.cli.reports import print_report

        print_report(console(), report)
    if report.nothing_added:
        from trawl.cli.output import print_message

        print_message("nothing was added: no file has a type that Trawl reads (docs/formats.md)")
    if report.failed or report.nothing_added:
        raise typer.Exit(3)


def show(
    target: Annotated[
        str, typer.Argument(metavar="ID|PATH", help="Document id, chunk id, or path of a file.")
    ],
    library: LibrariesOption = DEFAULT_LIBRARIES,
    json: JsonOption = False,
) -> None:
    """Show a document and its chunks, or one chunk in full.

    \b
    Examples:
      trawl show papers/muon.md
      trawl show 3f2a9c0e5b7d41c8a6e0f913:2
    """
    with open_libraries(library) as opened:
        contents = opened.show(target)
    if json:
        from trawl.cli.output import contents_json

        print_json(contents_json(contents))
        return
    from trawl.cli.output import console
    from trawl.cli.render import print_contents

    chunk_id = target if any(chunk.chunk_id == target for chunk in contents.chunks) else None
    print_contents(console(), contents, chunk_id)


def rm(
    targets: Annotated[
        list[str],
        typer.Argument(metavar="ID|PATH", help="Document ids, files or directories."),
    ],
    library: LibraryOption = DEFAULT_LIBRARY,
    json: JsonOption = False,
) -> None:
    """Remove documents from the library. Does not delete files.

    \b
    Examples:
      trawl rm papers/old.md
      trawl rm papers/ 3f2a9c0e5b7d41c8a6e0f913
    """
    with open_library(library) as opened:
        removed = opened.remove(targets)
    if json:
        from trawl.cli.output import removed_json

        print_json(removed_json(removed))
        return
    typer.echo(f"removed {removed:,} document{'' if removed == 1 else 's'}")


def status(
    library: LibrariesOption = DEFAULT_LIBRARIES,
    failed: Annotated[
        bool, typer.Option("--failed", help="List the files that could not be read, with reasons.")
    ] = False,
    notices: Annotated[
        bool,
        typer.Option("--notices", help="List what was indexed otherwise than it is in its file."),
    ] = False,
    skipped: Annotated[
        bool,
        typer.Option("--skipped", help="List the files of added folders whose type is not read."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Show counts, unreadable files and notices.

    A notice is a metadata value or sidecar that could not be used as it is. The file is
    indexed.

    \b
    Examples:
      trawl status
      trawl status --failed --notices
    """
    from trawl.libraries import Libraries, joined_status

    with open_libraries(library) as opened:
        several = opened.statuses() if isinstance(opened, Libraries) else {}
        found = joined_status(several) if several else opened.status()
        unread = opened.skipped() if skipped else None
    if json:
        from trawl.cli.output import status_json

        print_json(
            status_json(
                found,
                with_failures=failed,
                with_notices=notices,
                skipped=unread,
                libraries=several,
            )
        )
        return
    from trawl.cli.output import console
    from trawl.cli.reports import print_skipped, print_status

    name = library_name(library)
    for member, status in several.items():
        print_status(console(), member, status, with_failures=False, with_notices=False)
        console().print()
    print_status(console(), name, found, with_failures=failed, with_notices=notices)
    if unread is not None:
        print_skipped(console(), unread)
