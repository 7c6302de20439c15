"""Files of unknown types: named by `add`, listed by `status --skipped`, gone when they are."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from trawl import Library
from trawl.cli import main
from trawl.library import skipped


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.xyz", "sub/b.xyz", "sub/c.blend", "noext"):
        (folder / name).write_bytes(b"\0\1\2" * 9)
    return folder


def listed(library: Library) -> list[str]:
    return [Path(one.uri).name for one in library.skipped().files]


def test_skipped_files_are_listed_until_they_are_gone_or_read(
    library: Library, folder: Path, tmp_path: Path
) -> None:
    report = library.add(folder)
    assert report.nothing_added
    assert report.skipped_types[".xyz"] == 2
    assert Path(report.skipped_examples[".xyz"]).name == "a.xyz"
    assert sorted(listed(library)) == ["a.xyz", "b.xyz", "c.blend", "noext"]
    assert all(one.reason for one in library.skipped().files)
    other = tmp_path / "other"
    other.mkdir()
    (other / "d.xyz").write_bytes(b"\0\1\2")
    (other / "note.txt").write_text("A note.")
    assert not library.add(other).nothing_added
    assert sorted(listed(library)) == ["a.xyz", "b.xyz", "c.blend", "d.xyz", "noext"]
    (folder / "a.xyz").unlink()
    (folder / "noext").write_text("A text without an extension, which is read by now.")
    assert sorted(listed(library)) == ["b.xyz", "c.blend", "d.xyz"]
    library.add(folder)
    with Library(library.path) as again:
        assert sorted(listed(again)) == ["b.xyz", "c.blend", "d.xyz"]
    (library.path / skipped.FILE).write_text("{", "utf-8")
    assert listed(library) == []
    library.add(folder)
    assert sorted(listed(library)) == ["b.xyz", "c.blend"]


def test_the_list_is_bounded_and_says_so(
    library: Library, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(skipped, "MOST_FILES", 3)
    library.add(folder)
    assert (len(library.skipped().files), library.skipped().unlisted) == (3, 1)
    for name in ("a.xyz", "noext"):
        (folder / name).unlink()
    library.add(folder)
    assert (len(library.skipped().files), library.skipped().unlisted) == (2, 0)


def test_a_folder_of_unknown_files_is_no_success(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def trawl(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["trawl", *arguments, "--library", str(tmp_path / "lib")])
        code = main.exit_code()
        said = capsys.readouterr()
        return code, said.out, said.err

    code, out, err = trawl("add", str(folder))
    assert code == 3
    assert "nothing was added" in err
    assert "2 skipped: " in out
    assert "such as a.xyz" in out
    assert "trawl status --skipped" in out
    code, out, err = trawl("status", "--skipped")
    assert (code, "c.blend" in out) == (0, True)
    (folder / "note.txt").write_text("A note.")
    assert trawl("add", str(folder))[0] == 0
    code, out, err = trawl("status", "--skipped", "--json")
    assert len(json.loads(out)["skipped"]) == 4
    assert json.loads(out)["skipped_unlisted"] == 0
