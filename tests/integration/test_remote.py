"""`trawl --server URL`: the same commands, output and JSON as on a library of this machine."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from conftest import write_collection
from served import over_http
from trawl.cli import main
from trawl.library import Library
from trawl.server import create_app
from trawl.server.auth import hash_key, new_key
from trawl.settings import load_settings

KEY = new_key()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("here")
    write_collection(folder / "collection")
    return folder


@pytest.fixture(scope="module")
def server(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("served") / "lib"
    keys = {"test": {"sha256": hash_key(KEY), "scopes": ["read", "write"]}}
    with Library(path, create=True, freshness_s=0) as library:
        assert library.add(place / "collection").failed == ()
        settings = load_settings(path, rate_limit="", api_keys=keys)
        with over_http(create_app(library, settings)) as address:
            yield address


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


def trawl(place: Path, *arguments: object, **environment: str) -> Done:
    """Run a command in this process, as the entry point does; starting one takes a second."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("TRAWL_")]:
            patch.delenv(name)
        for name, value in {"COLUMNS": "80", "TRAWL_API_KEY": KEY, **environment}.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["trawl", *map(str, arguments)])
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        patch.chdir(place)
        code = main.exit_code()
        said = []
        for stream in (out, err):
            stream.flush()
            said.append(stream.buffer.getvalue().decode())  # type: ignore[attr-defined]
    return Done(code, *said)


def ask(place: Path, *arguments: object, **environment: str) -> Any:
    done = trawl(place, *arguments, "--json", **environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def without_places(found: Any) -> Any:
    """Take out what differs by where it is asked: times, versions, and the folders of files."""
    if isinstance(found, dict):
        kept = {k: v for k, v in found.items() if k not in ("took_ms", "version", "added_at")}
        return {
            key: value.rpartition("/")[2] if key == "uri" else without_places(value)
            for key, value in kept.items()
        }
    if isinstance(found, list):
        return [without_places(one) for one in found]
    return round(found, 4) if isinstance(found, float) else found


def test_answers_are_those_of_the_library(place: Path, server: str, tmp_path: Path) -> None:
    """The same collection here and there gives the same JSON, key for key."""
    assert ask(place, "add", "collection", "--library", tmp_path / "lib")["added"] == 6
    here = {"TRAWL_LIBRARY": str(tmp_path / "lib")}
    there = {"TRAWL_SERVER": server}
    found = ask(place, "search", "muon", **here)
    chunk_id = found["hits"][0]["chunk_id"]
    picture = place / "collection" / "figures" / "decay.png"
    for arguments in (
        ["search", "muon decay -bread", "--facet", "year"],
        ["search", "muon", "--where", "year >= 2020", "--limit", "2", "--offset", "1"],
        ["search", "--image", picture, "--modality", "image"],
        ["search", f"image:{picture}^0.5 life"],
        ["search", f"image:{picture}"],
        ["search", "--like", chunk_id, "--balance"],
        ["search", "--plain", "year:>=2020"],
        ["search", "year:>=2019", "--sort", "-year", "--facet", "year"],
        ["search", "--where", "year >= 2019", "--modality", "image"],
        ["list", "--sort", "title"],
        ["list", "--where", "year >= 2019", "--sort", "-year", "--limit", "2", "--facet", "year"],
        ["show", chunk_id],
        ["status"],
    ):
        locally, remotely = ask(place, *arguments, **here), ask(place, *arguments, **there)
        assert without_places(remotely) == without_places(locally), arguments
    for arguments in (["search", "muon", "--explain"], ["show", chunk_id]):
        for_people = trawl(place, *arguments, **there)
        assert for_people.returncode == 0, for_people.stderr
        assert "Muon" in for_people.stdout


def test_files_are_added_changed_and_removed(place: Path, server: str, tmp_path: Path) -> None:
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "kaon.txt").write_text("The kaon has a strange quark.", "utf-8")
    (folder / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "program.bin").write_bytes(b"\0\1\2")
    arguments = ["--server", server, "add", folder, "--meta", "year=1947", "--json"]
    done = trawl(place, *arguments)
    assert done.returncode == 3, done.stderr
    report = json.loads(done.stdout)
    assert (report["added"], report["skipped"]) == (1, 1)
    assert [Path(one["uri"]) for one in report["failed"]] == [(folder / "torn.png").resolve()]
    there = {"TRAWL_SERVER": server}
    (hit,) = ask(place, "search", "kaon quark", "--where", "year = 1947", **there)["hits"]
    assert hit["uri"] == "kaon.txt"
    document_id = hit["document_id"]
    changed = ask(place, "edit", document_id, "year=", "lab=CERN", **there)
    title = hit["title"]
    assert changed == {"document_id": document_id, "title": title, "metadata": {"lab": "CERN"}}
    assert ask(place, "show", document_id, **there)["metadata"] == {"lab": "CERN"}
    assert ask(place, "status", "--failed", **there)["failures"][0]["uri"] == "torn.png"
    assert ask(place, "rm", document_id, **there) == {"removed": 1}
    gone = trawl(place, "rm", document_id, **there)
    assert (gone.returncode, gone.stdout) == (1, "")
    assert document_id in gone.stderr


def test_captions_and_titles_go_along(place: Path, server: str) -> None:
    there = {"TRAWL_SERVER": server}
    report = ask(place, "add", "collection", **there)
    assert (report["added"], report["failed"]) == (6, [])
    hits = ask(place, "search", "a red sunset over the sea modality:image", **there)["hits"]
    # The one that was there before it began, and the one that went up, are copies.
    (sunset,) = [hit for hit in hits if hit["uri"] == "sunset.jpg"]
    (place_of_other,) = sunset["places"]
    assert place_of_other["uri"] == "sunset.jpg"
    assert not sunset["gone"]
    for document_id in (sunset["document_id"], place_of_other["document_id"]):
        shown = ask(place, "show", document_id, **there)
        assert (shown["title"], shown["metadata"]) == ("Evening", {"year": 2019})
        assert len(shown["places"]) == 1
    assert "sunset" in sunset["snippet"]
    again = ask(place, "add", "collection", **there)
    assert (again["added"], again["unchanged"]) == (0, 6)


def test_editing_here(place: Path, tmp_path: Path) -> None:
    library = {"TRAWL_LIBRARY": str(tmp_path / "lib")}
    ask(place, "add", "collection/muons.md", **library)
    (hit, *_) = ask(place, "search", "muon modality:text", **library)["hits"]
    done = trawl(place, "edit", hit["document_id"], "year=2024", "tags=", **library)
    assert done.returncode == 0, done.stderr
    assert [line.split() for line in done.stdout.splitlines()[1:]] == [
        ["year", "2024"],
        ["tags", "none"],
    ]
    shown = ask(place, "show", hit["document_id"], **library)
    assert shown["metadata"] == {"year": 2024, "source": "arXiv"}
    assert trawl(place, "edit", hit["document_id"], "year=late", **library).returncode == 0


def test_titles_captions_and_lists_are_edited_by_path(
    place: Path, server: str, tmp_path: Path
) -> None:
    """The same commands here and there, by path here and by the name of the file there."""
    folder = tmp_path / "album"
    folder.mkdir()
    picture = folder / f"scan-{os.getpid()}.png"
    Image.linear_gradient("L").convert("RGB").resize((40, 30)).save(picture)
    ask(place, "add", picture, "--library", tmp_path / "lib", "--meta", "tags=[a, b]")
    here = {"TRAWL_LIBRARY": str(tmp_path / "lib")}
    there = {"TRAWL_SERVER": server}
    assert ask(place, "add", picture, "--meta", "tags=[a, b]", **there)["failed"] == []
    for environment in (here, there):
        changed = ask(
            place, "edit", picture, "title=1931", "caption=A  zeppelin", "tags+=c", "tags-=[a, x]",
            'by=[Curie, "Noether, E."]', **environment,
        )  # fmt: skip
        assert changed["title"] == "1931"
        assert changed["metadata"] == {"tags": ["b", "c"], "by": ["Curie", "Noether, E."]}
        (hit,) = ask(place, "search", "+zeppelin", **environment)["hits"]
        assert (Path(hit["uri"]).name, hit["title"]) == (picture.name, "1931")
        done = trawl(place, "edit", picture, "title=", "caption=", "tags-=b", **environment)
        assert done.returncode == 0, done.stderr
        assert ask(place, "search", "+zeppelin", **environment)["hits"] == []
        assert ask(place, "show", picture, **environment)["metadata"]["tags"] == ["c"]
        for change, said in (
            ("uri=x", "document_id, media_type, modality, uri"),
            ("tags+=", "no value"),
            ("tags", "KEY=VALUE"),
            ("title+=x", "not a list"),
        ):
            done = trawl(place, "edit", picture, change, **environment)
            assert (done.returncode, done.stdout) == (2, ""), done.stderr
            assert said in done.stderr
        done = trawl(place, "edit", "none.png", "year=1", **environment)
        assert done.returncode == 1
        assert "none.png" in done.stderr
    assert ask(place, "rm", picture, **there) == {"removed": 1}


def test_what_cannot_be_is_said_plainly(place: Path, server: str) -> None:
    for arguments, code, said in (
        (["--server", server, "init"], 2, "omit --server"),
        (["--server", "localhost:8000", "status"], 2, "http://"),
        (["--server", "http://127.0.0.1:9", "status"], 1, "trawl serve"),
        (["--server", server, "search", "muon", "--where", "colour = 1"], 2, "colour"),
        (["--server", server, "search", "muon", "--limit", "0"], 2, "limit"),
        (["--server", server, "search", "image:none.png"], 1, "none.png"),
        (["--server", server, "show", "0" * 24], 1, "no document"),
        (["--server", server, "add", "collection", "--prune"], 2, "--prune"),
    ):
        done = trawl(place, *arguments)
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    refused = trawl(place, "--server", server, "status", TRAWL_API_KEY="wrong")
    assert refused.returncode == 1
    assert "key" in refused.stderr


def test_the_environment_does_not_keep_commands_from_this_machine(
    place: Path, tmp_path: Path
) -> None:
    done = trawl(place, "init", "--library", tmp_path / "lib", TRAWL_SERVER="http://127.0.0.1:9")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("package", "arguments"),
    [("httpx", ["--server", "http://127.0.0.1:9", "status"]), ("mcp", ["mcp"])],
)
def test_a_missing_extra_is_named(package: str, arguments: list[str]) -> None:
    code = (
        f"import sys; sys.modules[{package!r}] = None; sys.argv = ['trawl', *{arguments!r}]; "
        "from trawl.cli.main import run; run()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    extra = {"httpx": "client"}.get(package, package)
    install = f"pip install 'trawl-multimodal[{extra}]'"
    assert f"requires {package}; install it with: {install}" in done.stderr
