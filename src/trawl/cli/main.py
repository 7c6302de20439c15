"""The entry point of ``trawl``, which turns errors into messages and exit codes.

Exit codes: 0 success, 1 failure, 2 usage error, 3 some files could not be added,
130 interrupted. Importing this module loads Typer and nothing heavier.
"""

from __future__ import annotations

import gc
import os
import sys
from io import TextIOWrapper
from typing import Annotated, NoReturn

import typer

from trawl.cli import commands, demo, documents, eval, models, options, search, serving, watch
from trawl.cli.output import print_message
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
            help="Use a Trawl server instead of a local library (API key: TRAWL_API_KEY).",
        ),
    ] = None,
) -> None:
    """Search text, images and sounds together.

    \b
    Examples:
      trawl add ~/papers ~/photos
      trawl search "muon decay signature"
      trawl --server http://127.0.0.1:8000 search "muon decay signature"
    """
    origin = context.get_parameter_source("server")
    options.select_server(
        server,
        context.invoked_subcommand or "",
        is_explicit=origin is not None and origin.name == "COMMANDLINE",
    )


app.command(cls=options.Command)(commands.init)
app.command(cls=options.Command)(commands.add)
app.command(cls=options.Command)(watch.watch)
app.command(cls=search.SearchCommand)(search.search)
app.command("list", cls=options.Command)(documents.list_)
app.command(cls=options.Command)(commands.show)
app.command(cls=options.Command)(commands.rm)
app.command(cls=options.Command)(documents.edit)
app.command(cls=options.Command)(commands.status)
app.command(cls=options.Command)(serving.serve)
app.command(cls=options.Command)(serving.mcp)
app.command(cls=options.Command)(demo.demo)
app.command("eval", cls=options.Command)(eval.evaluate)
app.add_typer(models.app, name="models")


def run() -> NoReturn:
    """Run the command line and exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A file name may hold bytes that are not valid in any encoding.
            stream.reconfigure(errors="backslashreplace")
    # Garbage collection during imports takes a tenth of a short command's time. Commands that
    # run longer enable it.
    gc.disable()
    code = _flushed(exit_code())
    # Everything is closed and flushed. A normal exit with Arrow and Lance loaded takes 0.2 s.
    os._exit(code)


def exit_code() -> int:
    """Run the command line and return its exit code. Prints expected errors to stderr."""
    try:
        app()
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except TrawlError as error:
        print_message(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print_message(f"{where}{error.strerror or error}")
        return 1
    return 0


def _flushed(code: int) -> int:
    """Flush stdout and stderr; a full disk or a closed pipe is a failure."""
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except BrokenPipeError:
        return code or 1
    except OSError as error:
        print_message(f"cannot write the output: {error.strerror}")
        return code or 1
    return code
