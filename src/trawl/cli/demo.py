"""``trawl demo``: index the example collection and search it six times.

Each step runs as a command of its own, after the command line is printed, so that every line can
be repeated by hand.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from trawl.errors import UsageError

_EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
_MARK = ".trawl-demo"
_DEFAULT = Path("trawl-demo")


def demo(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Directory to create.")
    ] = _DEFAULT,
) -> None:
    """Index the example collection and run six searches.

    Creates DIR with a collection of 2 papers, 21 texts, 19 figures and 11 sounds, and a library
    that indexes it: 3 MB. Downloads nothing. Rebuilds DIR if an earlier demo made it; never
    touches a directory that holds other files.

    \b
    Examples:
      trawl demo
      trawl demo /tmp/trawl-demo
    """
    collection, library = directory / "collection", directory / "library"
    _prepare(directory)
    print(
        f"Copied the example collection to {collection} "
        "(2 papers, 21 texts, 19 figures, 11 sounds)."
    )
    print("Each command below can be repeated by hand.")
    print(f"\n$ export TRAWL_LIBRARY={shlex.quote(str(library))}")
    for comment, line in _steps(collection):
        _run(comment, line, library)
    print(f"""
Next, search this library again, or serve it on http://127.0.0.1:8000/docs:

  export TRAWL_LIBRARY={shlex.quote(str(library))}
  {_program()} search "sound of insects at night"
  {_program()} serve

Or index files of your own:

  export TRAWL_LIBRARY=~/my-library
  {_program()} init
  {_program()} add ~/papers ~/photos

To remove the demo: rm -r {shlex.quote(str(directory))}""")


def _prepare(directory: Path) -> None:
    """Copy the collection to `directory`, and remove the library of an earlier demo."""
    earlier = (directory / _MARK).is_file()
    if not earlier and directory.exists() and not (directory.is_dir() and _is_empty(directory)):
        raise UsageError(f"{directory} is not empty; choose another directory: trawl demo DIR")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / _MARK).touch()
    for name in ("collection", "library"):
        shutil.rmtree(directory / name, ignore_errors=True)
    shutil.copytree(_EXAMPLES, directory / "collection")


def _is_empty(directory: Path) -> bool:
    return next(directory.iterdir(), None) is None


def _steps(collection: Path) -> list[tuple[str, str]]:
    folder = shlex.quote(str(collection))
    galaxies = shlex.quote(str(collection / "physics" / "figures" / "galaxy-field.jpg"))
    return [
        ("Create a library: a directory that holds an index and its settings.", "init"),
        ("Index the collection.", f"add {folder}"),
        ("Index it again: unchanged files are skipped.", f"add {folder}"),
        ("1. Text finds passages and figures.", 'search "muon decay signature" --limit 5'),
        (
            "2. A figure inside a paper, with its caption and the passage that cites it.",
            'search "growth rate of yeast against temperature" --limit 3',
        ),
        (
            "3. Text finds a sound, by its caption and by its audio.",
            'search "police siren" --modality audio --limit 3',
        ),
        (
            "4. An image finds passages. Only the pixels are used, not the caption.",
            f"search --image {galaxies} --modality text --limit 3",
        ),
        (
            "5. A filter restricts the search: biology since 2015.",
            'search "which genes are active in which tissue" '
            "--where \"year >= 2015 and topic = 'biology'\" --limit 5",
        ),
        (
            "6. Keyword and vector search combined: the rare word MspI, and its context.",
            'search "MspI enzyme cuts DNA into fragments" --limit 5',
        ),
    ]


def _run(comment: str, line: str, library: Path) -> None:
    """Print the command and run it on `library`; exit with its code if it fails."""
    print(f"\n\033[1m# {comment}\033[0m" if sys.stdout.isatty() else f"\n# {comment}")
    print(f"$ {_program()} {line}", flush=True)
    environment = {key: value for key, value in os.environ.items() if key[:6] != "TRAWL_"}
    environment["TRAWL_LIBRARY"] = str(library)
    command = [sys.executable, "-m", "trawl", *shlex.split(line)]
    code = subprocess.run(command, env=environment, check=False).returncode
    if code != 0:
        raise typer.Exit(code if code > 0 else 1)


def _program() -> str:
    """Return the shortest way to type this program's name in the current shell."""
    if shutil.which("trawl"):
        return "trawl"
    return "python -m trawl" if sys.argv[0].endswith("__main__.py") else sys.argv[0]
