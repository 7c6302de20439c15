"""Shows what Trawl does: builds the example collection, indexes it and asks five questions.

    python examples/demo.py [--dir .demo]

Every command is printed before it runs, so each can be tried again by hand.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

HERE = Path(__file__).resolve().parent


def run(explanation: str, command: list[str], shown: str) -> None:
    """Prints the explanation and the command as one types it, runs it, and ends if it fails."""
    print(f"\n\033[1m# {explanation}\033[0m" if sys.stdout.isatty() else f"\n# {explanation}")
    print(f"$ {shown}", flush=True)
    try:
        code = subprocess.run(command, check=False).returncode
    except OSError as error:
        fail(f"could not run {command[0]}: {error}", 1)
    if code != 0:
        fail(f"this command ended with exit code {code}", code if code > 0 else 1)


def fail(reason: str, code: int) -> NoReturn:
    """Says why the demo cannot go on and leaves with a code that is not zero."""
    print(f"\ndemo: {reason}", file=sys.stderr)
    sys.exit(code)


def typed(word: str) -> str:
    """A word as a person would type it in a shell: in double quotes if it holds single ones."""
    plain = not set(word) & set('"$`\\!')
    return f'"{word}"' if plain and ("'" in word or " " in word) else shlex.quote(word)


def find_trawl() -> str:
    """The `trawl` of the environment that runs this script, else the one on the PATH."""
    beside = Path(sys.executable).with_name("trawl")
    found = str(beside) if beside.is_file() else shutil.which("trawl")
    if found is None:
        fail("no `trawl` command; install the package first: pip install -e .", 1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Shows what Trawl does, on its own examples.")
    parser.add_argument("--dir", type=Path, default=Path(".demo"), help="where to work")
    folder: Path = parser.parse_args().dir
    collection, library = folder / "collection", folder / "library"
    trawl = find_trawl()
    os.environ["TRAWL_LIBRARY"] = str(library)

    def step(explanation: str, *arguments: str) -> None:
        run(explanation, [trawl, *arguments], " ".join(map(typed, ["trawl", *arguments])))

    run(
        "Make the collection: 21 texts, 19 figures, 11 sounds, with their metadata.",
        [sys.executable, str(HERE / "build_collection.py"), "--out", str(collection)],
        f"python examples/build_collection.py --out {collection}",
    )
    print(f"\n$ export TRAWL_LIBRARY={library}")
    if (library / "library.json").is_file():
        shutil.rmtree(library)  # of an earlier demo, and perhaps of an earlier model
    step("Make a library: a directory that holds the index and its configuration.", "init")
    step("Add everything.", "add", str(collection))
    step("Add it again: all of it is unchanged, and nothing is embedded.", "add", str(collection))
    step(
        "1. Words find passages and figures: the text about muon decay, and its drawings.",
        "search",
        "muon decay signature",
        "--limit",
        "5",
    )
    step(
        "2. Words find a sound, by its caption and by how it sounds.",
        "search",
        "police siren",
        "--modality",
        "audio",
        "--limit",
        "3",
    )
    step(
        "3. A picture finds passages: what is in this photograph? Its caption is not used.",
        "search",
        "--image",
        str(collection / "physics" / "figures" / "galaxy-field.jpg"),
        "--modality",
        "text",
        "--limit",
        "3",
    )
    step(
        "4. A filter goes first, then the search: biology since 2015 only.",
        "search",
        "which genes are active in which tissue",
        "--where",
        "year >= 2015 and topic = 'biology'",
        "--limit",
        "5",
    )
    step(
        "5. A rare word and a meaning together: the exact word MspI, and DNA cut to pieces.",
        "search",
        "MspI enzyme cuts DNA into fragments",
        "--limit",
        "5",
    )
    print(f"""
The library is {library}; ask it more:
  export TRAWL_LIBRARY={library}
  trawl search "sound of insects at night"
  trawl status
Serve it to a browser and to programs, at http://127.0.0.1:8000/docs:
  trawl serve""")


if __name__ == "__main__":
    main()
