"""``trawl``: the entry point, and the one place where errors become messages and exit codes.

Exit codes: 0 all well, 1 failed, 2 usage, 3 some files failed and the rest are in,
130 interrupted. Importing this module loads Typer and nothing heavier.
"""

from __future__ import annotations

import gc
import os
import sys
from io import TextIOWrapper
from typing import Annotated, NoReturn

import typer

from trawl.cli import assisting, commands, demo, evaluating, models, remote, searching
from trawl.cli.terminal import complain
from trawl.errors import TrawlError

app = typer.Typer(
    name="trawl",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 90},
)


def _version(wanted: bool) -> None:
    if wanted:
        from trawl import __version__

        typer.echo(f"trawl {__version__}")
        raise typer.Exit


@app.callback()
def trawl(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
    server: Annotated[
        str | None,
        typer.Option(
            "--server",
            metavar="URL",
            envvar="TRAWL_SERVER",
            help="Ask a server in place of a library (key: TRAWL_API_KEY).",
        ),
    ] = None,
) -> None:
    """Find passages, figures and sounds by words, by a picture or by a sound.

    \b
    Index a folder, then ask:
      trawl add ~/papers ~/photos
      trawl search "muon decay signature"
      trawl --server http://127.0.0.1:8000 search "muon decay signature"
    """
    asked_for = context.get_parameter_source("server")
    remote.choose(
        server,
        context.invoked_subcommand or "",
        by_name=asked_for is not None and asked_for.name == "COMMANDLINE",
    )


for command in (
    commands.init,
    commands.add,
    searching.search,
    commands.show,
    commands.rm,
    commands.edit,
    commands.status,
    commands.serve,
):
    app.command()(command)

app.command()(assisting.mcp)
app.command()(demo.demo)
app.command("eval")(evaluating.evaluate)
app.add_typer(models.app, name="models")


def run() -> NoReturn:
    """Run the command line and leave the process."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A file's name may hold bytes that no encoding has; it must still be listed.
            stream.reconfigure(errors="backslashreplace")
    # Collecting while modules load is a tenth of a short command; those that stay turn it on.
    gc.disable()
    code = _flushed(exit_code())
    # All is closed and flushed. Taking down the interpreter with Arrow and Lance in it
    # would add a fifth of a second to every command.
    os._exit(code)


def exit_code() -> int:
    """Run the command line; the exit code, with every expected error said on stderr."""
    try:
        app()
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except TrawlError as error:
        complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        complain(f"{where}{error.strerror or error}")
        return 1
    return 0


def _flushed(code: int) -> int:
    """Write out what is buffered; a disk that is full here is a failure, a closed pipe too."""
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except BrokenPipeError:
        return code or 1
    except OSError as error:
        complain(f"the output cannot be written: {error.strerror}")
        return code or 1
    return code
