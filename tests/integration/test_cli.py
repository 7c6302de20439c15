"""The `trawl` command as a person and a program meet it: a process, its output, its exit code."""

from __future__ import annotations

import datetime
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import typing
import urllib.request
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import typer
from rich.console import Console

from conftest import write_collection
from trawl.cli import main, output, render
from trawl.cli import search as search_command
from trawl.cli.main import app
from trawl.ranking import Method
from trawl.types import (
    MODALITIES,
    Answer,
    Evidence,
    Failure,
    Hit,
    Report,
    Space,
    Span,
    Status,
)

TRAWL = Path(sys.executable).with_name("trawl")
ROOT = Path(__file__).parent.parent.parent
COMMANDS = {
    "init", "add", "search", "list", "show", "edit", "rm", "status", "serve", "eval", "mcp", "demo",
    "watch",
}  # fmt: skip
ESCAPE = "\x1b"


def trawl(
    *arguments: object, cwd: Path | None = None, stdin: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("TRAWL_")}
    return subprocess.run(
        [TRAWL, *map(os.fspath, (a if isinstance(a, os.PathLike) else str(a) for a in arguments))],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        timeout=60,
        env={**plain, "COLUMNS": "80", **environment},
        check=False,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a collection and the library made of it, by the command line alone."""
    folder = tmp_path_factory.mktemp("cli")
    write_collection(folder / "collection")
    done = trawl("add", "collection", "--library", "lib", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert b"created a library at lib" in done.stderr
    return folder


def ask(place: Path, *arguments: object, **more: typing.Any) -> typing.Any:
    done = trawl(*arguments, "--json", cwd=place, TRAWL_LIBRARY="lib", **more)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b"\n") == 1
    return json.loads(done.stdout)


# --- help and start --------------------------------------------------------------------


def test_every_command_has_help_with_examples_and_stands_in_the_documentation() -> None:
    group = typer.main.get_command(app)
    commands = dict(group.commands)  # type: ignore[attr-defined]
    # A group, whose own commands are about models and not about a library.
    assert "trawl models" in (ROOT / "README.md").read_text("utf-8")
    assert commands.pop("models").help
    assert set(commands) == COMMANDS
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    written = "\n".join(page.read_text("utf-8") for page in pages)
    for name, command in commands.items():
        assert command.help, name
        assert f"Examples:\n  trawl {name}" in command.help.replace("\b\n", ""), name
        summary = command.get_short_help_str(limit=60)
        assert not summary.endswith("..."), f"{name}: the first line of its help is cut"
        # `mcp` writes a protocol to stdout; `demo` makes a library of its own and shows commands.
        shared = {"mcp": {"--library"}, "demo": set()}.get(name, {"--library", "--json"})
        assert shared <= {o for p in command.params for o in p.opts}, name
        text = command.get_help(command.context_class(command))  # fills in the help of `search`
        assert not re.search("<[a-z]", text), f"{name}: the help shows a Python type"
        for parameter in command.params:
            assert getattr(parameter, "help", "x"), f"{name} {parameter.name}"
        assert re.search(rf"^trawl {name}\b", written, re.MULTILINE), f"{name} is on no page"


def test_choices_are_those_of_the_library() -> None:
    assert tuple(each.value for each in search_command.Modality) == MODALITIES
    assert typing.get_args(search_command.Fusion) == typing.get_args(Method)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['trawl', '--help']\n"
        "import atexit, os; from trawl.cli.main import app\n"
        "try: app()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'pyarrow', 'lance', 'lancedb', 'onnxruntime', 'PIL', 'pydantic',\n"
        "         'fastapi', 'tokenizers', 'soundfile', 'lark', 'rich', 'trawl.library'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.splitlines()[-1] == b"[]"


def test_a_catalogue_is_read_without_the_library() -> None:
    code = (
        "import sys; from trawl.libraries.catalogue import is_several; is_several(['l'])\n"
        "heavy = {'numpy', 'pyarrow', 'lance', 'onnxruntime', 'fastapi', 'trawl.library'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.splitlines()[-1] == b"[]"


def test_version_and_help_and_no_command() -> None:
    assert re.fullmatch(rb"trawl \d+\.\d+\.\d+\n", trawl("--version").stdout)
    shown = trawl("search", "-h")
    assert shown.returncode == 0
    assert b"trawl search muon decay signature" in shown.stdout
    assert all(len(line) <= 90 for line in shown.stdout.decode().splitlines())
    assert trawl().returncode == 2


# --- what people see -------------------------------------------------------------------


def test_search_prints_a_list_that_fits_and_pipes_cleanly(place: Path) -> None:
    done = trawl("search", "muon", "decay", "--library", "lib", cwd=place)
    text = done.stdout.decode()

    assert done.returncode == 0
    assert ESCAPE not in text
    assert all(len(line) <= 80 for line in text.splitlines())
    first = re.search(r"^ 1  text   Muon decay +\d\.\d{3}$", text, re.MULTILINE)
    assert first, text
    assert "\n    collection/muons.md\n" in text
    assert "160 × 120 px  Decay curve of the muon" in text
    assert "<mark>" not in text


def test_one_list_holds_three_modalities_and_can_be_narrowed(place: Path) -> None:
    found = ask(place, "search", "muon decay", "--limit", 20)
    assert {hit["modality"] for hit in found["hits"]} == set(MODALITIES)
    assert [hit["rank"] for hit in found["hits"]] == list(range(1, len(found["hits"]) + 1))

    narrowed = ask(place, "search", "muon", "--modality", "image", "--modality", "audio")
    assert {hit["modality"] for hit in narrowed["hits"]} == {"image", "audio"}

    later = ask(place, "search", "muon decay", "--limit", 2, "--offset", 1)
    assert [hit["chunk_id"] for hit in later["hits"]] == [
        hit["chunk_id"] for hit in found["hits"][1:3]
    ]
    assert later["hits"][0]["rank"] == 2


def test_a_query_can_be_a_picture_a_sound_or_stdin(place: Path) -> None:
    picture = ask(place, "search", "--image", "collection/figures/sunset.jpg", "-n", 1)
    assert picture["hits"][0]["title"] == "Evening"
    sound = ask(place, "search", "--audio", "collection/beep.wav", "-n", 1)
    assert sound["hits"][0]["modality"] == "audio"
    piped = ask(place, "search", "-", "-n", 1, stdin=b"sourdough bread\n")
    assert piped["hits"][0]["title"] == "Sourdough bread"


def test_filters(place: Path) -> None:
    found = ask(place, "search", "muon", "--where", "year >= 2020 and source in ('arXiv')")
    assert {hit["metadata"]["year"] for hit in found["hits"]} == {2021}
    none = trawl("search", "muon", "--where", "year = 1900", "-l", "lib", cwd=place)
    assert (none.returncode, none.stdout) == (0, b"")
    assert none.stderr == b"trawl: no results match the filter\n"


def test_add_again_changes_nothing_and_says_so(place: Path) -> None:
    done = trawl("add", "collection", "-l", "lib", cwd=place)
    lines = [line.split() for line in done.stdout.decode().splitlines()]
    assert lines[:5] == [
        ["added", "0"],
        ["unchanged", "6"],
        ["replaced", "0"],
        ["removed", "0"],
        ["failed", "0"],
    ]
    assert done.stderr == b"", "the progress bar is for terminals"


def test_failed_files_are_listed_with_their_reason_and_the_rest_is_in(tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "good.txt").write_text("Rain on a tin roof.", "utf-8")
    (folder / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 20)
    done = trawl("add", folder, "gone", "--meta", "year=2024", cwd=tmp_path)
    text = done.stdout.decode()
    assert done.returncode == 3
    assert "failed     2\n" in text
    assert "\nmixed/torn.png\n    " in text
    assert "\ngone\n    " in text

    report = trawl("add", folder, "gone", "--meta", "year=2024", "--json", cwd=tmp_path)
    assert report.returncode == 3
    failed = json.loads(report.stdout)["failed"]
    assert {Path(entry["uri"]).name for entry in failed} == {"torn.png", "gone"}
    status = ask(tmp_path, "status", "--failed", "--library", "trawl-library")
    assert str(folder / "torn.png") in {entry["uri"] for entry in status["failures"]}
    assert status["failed"] == len(status["failures"])
    (hit,) = ask(tmp_path, "search", "rain", "-l", "trawl-library")["hits"]
    assert hit["metadata"] == {"year": 2024}


def test_init_show_and_rm(tmp_path: Path) -> None:
    made = ask(tmp_path, "init")
    assert made["library"] == str(tmp_path / "lib")
    (tmp_path / "note.md").write_text("# Note\n\nA telescope on a hill.\n", "utf-8")
    trawl("add", "note.md", "-l", "lib", "-m", "year=2001", cwd=tmp_path)

    shown = ask(tmp_path, "show", "note.md")
    assert shown["title"] == "Note"
    (chunk,) = shown["chunks"]
    assert ask(tmp_path, "show", chunk["chunk_id"]) == shown
    text = trawl("show", "note.md", "-l", "lib", cwd=tmp_path).stdout.decode()
    assert "title  Note\n" in text
    assert "year   2001\n" in text
    assert f"\n{chunk['chunk_id']}  text  characters 0–" in text
    assert "A telescope on a hill." in text

    gone = trawl("rm", "note.md", "-l", "lib", cwd=tmp_path)
    assert (gone.returncode, gone.stdout) == (0, b"removed 1 document\n")
    assert ask(tmp_path, "status")["documents"] == 0


def test_names_that_would_disturb_a_terminal_are_written_out(tmp_path: Path) -> None:
    name = "two\nlines \x1b[31mred \u202egnp.txt"
    (tmp_path / name).write_text("A heron stands in the reeds.\n", "utf-8")
    (tmp_path / "name with 'quotes' and 😀.txt").write_text("Herons again.\n", "utf-8")
    assert trawl("add", tmp_path, "-l", "lib", cwd=tmp_path).returncode == 0
    text = trawl("search", "heron", "-l", "lib", cwd=tmp_path).stdout.decode()
    assert "\n    two\\nlines \\x1b[31mred \\u202egnp.txt\n" in text
    assert "\n    name with 'quotes' and 😀.txt\n" in text
    assert name in {Path(hit["uri"]).name for hit in ask(tmp_path, "search", "heron")["hits"]}


def test_matches_are_bold_on_a_terminal_and_hits_fit_it() -> None:
    long_title = "A very long title that goes on and on about detectors 検出器の話 " * 3
    hit = Hit(
        1, 0.5, "d:0", "d", "/x/a.md", "text", long_title,
        "Fish &amp; <mark>chips</mark> \x1b[2J" + "word " * 80, Span(page=3), {}, (),
    )  # fmt: skip
    for width in (80, 100, 40):
        out = Console(
            file=io.StringIO(), width=width, force_terminal=True, highlight=False,
            markup=False, emoji=False, soft_wrap=True, color_system="standard",
        )  # fmt: skip
        render.print_answer(out, Answer((hit,), {}))
        text = out.file.getvalue()  # type: ignore[attr-defined]
        assert "\x1b[1;33mchips\x1b[0m" in text
        assert "Fish & " in text
        assert "\x1b[2J" not in text
        assert "a.md  page 3" in text
        plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
        assert all(render.cell_len(line) <= width for line in plain.splitlines())
        assert "…  0.500" in plain


def test_clean_leaves_ordinary_text_alone() -> None:
    assert output.clean("größe 日本 😀 e\u0301") == "größe 日本 😀 e\u0301"
    assert output.clean("a\x1bb\x07c\udcffd\u2028e") == "a\\x1bb\\x07c\\udcffd\\u2028e"


# --- the contract of --json --------------------------------------------------------------


def plain(fields: dict[str, object]) -> dict[str, object]:
    return dict(json.loads(output.encode(fields)))


def test_json_of_a_search_is_this() -> None:
    hit = Hit(
        rank=1,
        score=float(np.float32(0.5)),
        chunk_id="d:0",
        document_id="d",
        uri="/x/日本.md",
        modality="text",
        title="T",
        snippet="a <mark>b</mark>",
        span=Span(start_char=0, end_char=3),
        metadata={"taken": datetime.date(2024, 5, 1), "tags": ["a"], "n": 1},
        evidence=(Evidence("bm25", 1, 2.0, float("inf")),),
        detail="for people",
    )
    assert json.loads(
        output.encode(output.answer_json(Answer((hit,), {"total": 1.5}, confidence=0.75)))
    ) == {
        "hits": [
            {
                "rank": 1,
                "score": 0.5,
                "chunk_id": "d:0",
                "document_id": "d",
                "uri": "/x/日本.md",
                "modality": "text",
                "title": "T",
                "snippet": "a <mark>b</mark>",
                "span": {"start_char": 0, "end_char": 3},
                "metadata": {"taken": "2024-05-01", "tags": ["a"], "n": 1},
                "evidence": [
                    {
                        "source": "bm25",
                        "rank": 1,
                        "similarity": 2.0,
                        "calibrated": None,
                        "weight": 1.0,
                    }
                ],
                "duplicate_of": None,
                "duplicates": [],
                "label": "",
                "links": [],
                "moments": [],
                "places": [],
                "gone": False,
            }
        ],
        "no_good_match": False,
        "confidence": 0.75,
        "notices": [],
        "more": 0,
        "cursor": None,
        "took_ms": {"total": 1.5},
    }


def test_json_of_add_and_status_is_this() -> None:
    failed = (Failure("/x/a.png", "torn"),)
    assert plain(output.report_json(Report(1, 2, 3, 4, failed, 5, 6.5, skipped=7))) == {
        "added": 1,
        "unchanged": 2,
        "replaced": 3,
        "moved": 0,
        "removed": 4,
        "failed": [{"uri": "/x/a.png", "reason": "torn"}],
        "notices": [],
        "skipped": 7,
        "skipped_types": {},
        "skipped_examples": {},
        "duplicates": [],
        "chunks": 5,
        "seconds": 6.5,
    }
    space = {"name": "mini", "dimension": 256, "parts": 1, "metric": "cosine"}
    space["fingerprint"] = "f"
    status = Status(1, {"text": 2}, failed, (Space("mini", 256, "f"),), 9)
    expected = {
        "documents": 1,
        "chunks": {"text": 2, "image": 0, "audio": 0},
        "failed": 1,
        "notices": 0,
        "spaces": [space],
        "version": 9,
    }
    assert plain(output.status_json(status, with_failures=False)) == expected
    assert plain(output.status_json(status, with_failures=True)) == {
        **expected,
        "failures": [{"uri": "/x/a.png", "reason": "torn"}],
    }
    assert output.init_json("/x", status.spaces) == {"library": "/x", "spaces": [space]}
    assert output.removed_json(2) == {"removed": 2}


def test_what_the_commands_print_has_the_keys_of_the_contract(place: Path) -> None:
    found = ask(place, "search", "muon decay", "-n", 1)
    assert set(found) == {
        "hits",
        "no_good_match",
        "confidence",
        "notices",
        "more",
        "cursor",
        "took_ms",
    }
    (hit,) = found["hits"]
    assert set(hit) == {
        "rank", "score", "chunk_id", "document_id", "uri", "modality", "title", "snippet",
        "span", "metadata", "evidence", "moments", "label", "links", "places", "gone",
        "duplicate_of", "duplicates",
    }  # fmt: skip
    assert set(hit["evidence"][0]) == {"source", "rank", "similarity", "calibrated", "weight"}
    assert "<mark>" in hit["snippet"]
    assert Path(hit["uri"]).is_absolute()
    assert set(ask(place, "add", "collection")) == {
        "added", "unchanged", "replaced", "moved", "removed", "failed", "notices", "skipped",
        "skipped_types", "skipped_examples", "duplicates", "chunks", "seconds",
    }  # fmt: skip
    status = ask(place, "status")
    assert set(status) == {"documents", "chunks", "failed", "notices", "spaces", "version"}
    assert (status["documents"], status["failed"]) == (6, 0)
    assert set(ask(place, "show", hit["chunk_id"])) == {
        "document_id", "uri", "title", "media_type", "size_bytes", "added_at", "metadata",
        "error", "notices", "chunks", "places", "gone",
    }  # fmt: skip


def test_json_keeps_text_that_is_no_utf8() -> None:
    line = output.encode({"uri": "/x/\udcff.txt"})
    assert json.loads(line) == {"uri": "/x/\udcff.txt"}


# --- errors -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["search", "x", "-l", "nowhere"], 1, "no library at nowhere; create one with"),
        (["status", "-l", "nowhere"], 1, "no library at nowhere"),
        (
            ["search"],
            2,
            "no query; give QUERY, --image FILE, --audio FILE, --like CHUNK_ID or --where",
        ),
        (["search", ""], 2, "the query is empty"),
        (["search", "  \n"], 2, "the query is empty"),
        (["search", "a " * 5_000], 2, "the query has"),
        (["search", os.fsdecode(b"\xff\xfe")], 2, "the query is not valid UTF-8"),
        (["search", "x", "-n", "0"], 2, "limit 0: must be at least 1"),
        (["search", "x", "-n", "many"], 2, "Invalid value for '--limit'"),
        (["search", "x", "--offset", "-1"], 2, "offset -1: must be at least 0"),
        (["search", "x", "--modality", "video"], 2, "'video' is not one of"),
        (["search", "x", "--fusion", "magic"], 2, "'magic' is not one of"),
        (["search", "x", "--where", "year = = 3"], 2, "         ^\n"),
        (["search", "x", "--where", "yaer = 3"], 2, 'no column "yaer"; did you mean "year"?'),
        (["search", "x", "--where", "year = '1'; drop table x"], 2, '";" is not allowed'),
        (["search", "x", "--where", "year = 'new'"], 2, '"year" is an integer'),
        (["search", "--image", "no.png"], 2, "no.png"),
        (["search", "--image", "collection/beep.wav"], 2, "is not a picture"),
        (["search", "--audio", "collection/muons.md"], 2, "is not a sound"),
        (["show", "nothing"], 1, "no document or chunk 'nothing'"),
        (["rm", "nothing"], 1, "no document 'nothing'"),
        (["add"], 2, "Missing argument"),
        (["add", "collection", "--meta", "year"], 2, "is not KEY=VALUE"),
        (["init", "-l", "collection/muons.md/x"], 1, "cannot create a library at"),
        (["init", "-l", "new", "--profile", "nothing"], 1, "nothing"),
        (["sarch", "x"], 2, "No such command 'sarch'. Did you mean 'search', 'watch'?"),
        (["search", "x", "--wehre", "y"], 2, "No such option: --wehre"),
        (["serve", "-l", "nowhere"], 1, "no library at nowhere"),
        (["serve", "--port", "99999"], 2, "port"),
    ],
)
def test_errors_are_readable_lines_without_traceback(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setenv("TRAWL_LIBRARY", "lib")
    monkeypatch.setattr(sys, "argv", ["trawl", *arguments])

    assert main.exit_code() == code
    said = capsys.readouterr()
    assert message in said.err
    assert said.out == ""
    assert len(said.err.splitlines()) <= 4


def test_an_error_leaves_the_process_with_its_code(place: Path) -> None:
    done = trawl("search", "x", "--where", "year = = 3", "-l", "lib", cwd=place)
    assert done.returncode == 2
    assert done.stdout == b""
    assert done.stderr.startswith(b'trawl: filter, character 8: "=" is not expected here\n')
    assert trawl("search", "x", "-l", "nowhere", cwd=place).returncode == 1


def test_a_query_on_stdin_that_is_no_utf8(place: Path) -> None:
    done = trawl("search", "-", "-l", "lib", cwd=place, stdin=b"rain \xff")
    assert (done.returncode, done.stderr) == (
        2,
        b"trawl: the query on stdin is not valid UTF-8, at byte 5\n",
    )


def test_settings_out_of_range_name_their_variable(place: Path) -> None:
    done = trawl("status", "-l", "lib", cwd=place, TRAWL_CHUNK_TOKENS="3")
    assert done.returncode == 2
    assert b"TRAWL_CHUNK_TOKENS" in done.stderr


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_reader_that_leaves_early_is_no_error_message(place: Path, more: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [TRAWL, "search", "muon", "-l", "lib", *more],
        cwd=place, stdout=writing, stderr=subprocess.PIPE, check=False, timeout=60,
    )  # fmt: skip
    os.close(writing)
    assert b"Traceback" not in done.stderr
    assert b"rror" not in done.stderr
    assert done.returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_said(place: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [TRAWL, "status", "-l", "lib"],
            cwd=place, stdout=full, stderr=subprocess.PIPE, check=False, timeout=60,
        )  # fmt: skip
    assert done.returncode == 1
    assert b"No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr


def test_interrupting_add_exits_with_130_and_keeps_what_is_in(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for n in range(1_500):
        (folder / f"{n}.txt").write_text(f"Note {n} about the river and its sand.", "utf-8")
    trawl("init", "-l", "lib", cwd=tmp_path)
    running = subprocess.Popen(
        [TRAWL, "add", folder, "-l", "lib"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        # A shell's background jobs ignore SIGINT, and so would the child.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    marker = tmp_path / "lib" / ".writing"
    give_up = time.monotonic() + 30
    while not marker.exists() and time.monotonic() < give_up:
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, error = running.communicate(timeout=60)
    assert running.returncode == 130, error
    assert b"interrupted" in error
    assert b"Traceback" not in error
    assert ask(tmp_path, "status")["documents"] < 1_500


def test_a_list_is_shared_out_as_asked(place: Path) -> None:
    def kinds(*options: object) -> str:
        found = ask(place, "search", "the river in spring", *options)
        return "".join(hit["modality"][0] for hit in found["hits"])

    shared = kinds("-n", 4, "--quota", "image=1", "--quota", "text=2")
    assert sorted(shared) == sorted("aitt")
    assert set(kinds("-n", 3, "--interleave")) == set("ait")
    for quota, told in (("image", b"MODALITY=N"), ("image=9", b"at most"), ("film=1", b"'film'")):
        done = trawl("search", "x", "-n", 4, "--quota", quota, "-l", "lib", cwd=place)
        assert done.returncode == 2
        assert told in done.stderr
        assert b"Traceback" not in done.stderr


def test_without_a_good_match_the_nearest_can_be_left_out(place: Path) -> None:
    asked = ("search", "kubernetes deployment manifest", "--modality", "text")
    listed, bare = ask(place, *asked), ask(place, *asked, "--no-nearest")
    assert listed["no_good_match"]
    assert bare["no_good_match"]
    assert listed["hits"]
    assert bare["hits"] == []
    done = trawl(*asked, "--no-nearest", "-l", "lib", cwd=place)
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"with --nearest" in done.stderr


def test_serve_says_where_it_listens_and_stops_when_asked(place: Path) -> None:
    running = subprocess.Popen(
        [TRAWL, "serve", "-l", "lib", "--port", "0", "--json"],
        cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert running.stdout is not None
        line = running.stdout.readline()
        assert line, running.communicate()[1]
        started = json.loads(line)
        assert set(started) == {"library", "url"}
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", started["url"])
        with urllib.request.urlopen(started["url"] + "/docs", timeout=30) as answer:
            assert answer.status == 200
        running.send_signal(signal.SIGINT)
        _, error = running.communicate(timeout=30)
    finally:
        running.kill()
    assert running.returncode == 0, error
    assert b"Traceback" not in error
