"""Metadata from sidecar files and folder tables."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path

import pytest

from trawl.errors import UsageError
from trawl.readers import Sidecar, Sidecars, coerce_option
from trawl.types import Value


def photo(folder: Path, name: str = "photo.jpg") -> Path:
    path = folder / name
    path.write_bytes(b"\xff\xd8\xff")
    return path


def test_a_file_without_a_sidecar(tmp_path: Path) -> None:
    sidecars = Sidecars()
    assert sidecars.metadata_for(photo(tmp_path)) == Sidecar()
    assert sidecars.problems == ()


@pytest.mark.parametrize("suffix", ["json", "yaml", "yml"])
def test_a_sidecar_beside_its_file(tmp_path: Path, suffix: str) -> None:
    stated = {
        "title": "A muon",
        "caption": "in a\n cloud chamber",
        "year": 2021,
        "taken": "2024-05-01",
        "at": "2024-05-01T12:00:00",
        "site": {"name": "CERN", "geo": {"lat": 46.2}},
        "keys": ["muon", 1, 2.5, False, None],
        "sharp": True,
        "nothing": None,
    }
    path = photo(tmp_path)
    # JSON is YAML too; but a YAML of its own spelling comes with the next test.
    (tmp_path / f"photo.jpg.{suffix}").write_text(json.dumps(stated))
    found = Sidecars().metadata_for(path)
    assert (found.title, found.caption) == ("A muon", "in a cloud chamber")
    assert found.metadata == {
        "year": 2021,
        "taken": datetime.date(2024, 5, 1),
        "at": datetime.datetime(2024, 5, 1, 12),
        "site.name": "CERN",
        "site.geo.lat": 46.2,
        "keys": ["muon", "1", "2.5", "false"],
        "sharp": True,
    }


def test_yaml_value_types(tmp_path: Path) -> None:
    path = photo(tmp_path)
    (tmp_path / "photo.jpg.yaml").write_text(
        "alt: a track\ntitle: 2024\ntaken: 2024-05-01\n"
        "at: 2024-05-01 12:30:00\ndays: [2024-05-01]\n"
    )
    found = Sidecars().metadata_for(path)
    assert found == Sidecar(
        "2024",
        "a track",
        {
            "taken": datetime.date(2024, 5, 1),
            "at": datetime.datetime(2024, 5, 1, 12, 30),
            "days": ["2024-05-01"],
        },
    )


CSV = """\ufeffFile,file_name,title,year,score,day,ok,code,caption
ignored,photo.jpg,"1984","2021",0.5,2024-05-01,TRUE,007,"one, two"
ignored,other.jpg,,,,,,,
"""


def test_cells_are_typed(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text(CSV)
    sidecars = Sidecars()
    assert sidecars.metadata_for(photo(tmp_path)) == Sidecar(
        "1984",
        "one, two",
        {
            "File": "ignored",
            "year": 2021,
            "score": 0.5,
            "day": datetime.date(2024, 5, 1),
            "ok": True,
            "code": "007",
        },
    )
    assert sidecars.metadata_for(photo(tmp_path, "other.jpg")).metadata == {"File": "ignored"}
    assert sidecars.problems == ()


ROWS = [{"filename": "photo.jpg", "year": 1}, {"filename": "./b c.jpg", "year": 2}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metadata.jsonl", "\n".join(json.dumps(row) for row in ROWS) + "\n\n"),
        ("metadata.json", json.dumps(ROWS)),
        ("metadata.json", json.dumps({"photo.jpg": {"year": 1}, "b c.jpg": {"year": 2}})),
        ("metadata.csv", "image,year\nphoto.jpg,1\nb c.jpg,2\n"),
    ],
)
def test_every_table_format(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    sidecars = Sidecars()
    for number, file_name in enumerate(("photo.jpg", "b c.jpg"), start=1):
        found = sidecars.metadata_for(photo(tmp_path, file_name))
        assert found.metadata == {"year": number}
    assert sidecars.metadata_for(photo(tmp_path, "third.jpg")) == Sidecar()
    assert sidecars.problems == ()


def test_a_sidecar_overrides_the_table(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("path,year,place,title\nphoto.jpg,1,here,table\n")
    (tmp_path / "photo.jpg.yaml").write_text("year: 2\nkind: yaml\ncaption: said\n")
    (tmp_path / "photo.jpg.json").write_text('{"kind": "json", "caption": null}')
    assert Sidecars().metadata_for(photo(tmp_path)) == Sidecar(
        "table", "said", {"year": 2, "place": "here", "kind": "json"}
    )


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("metadata.jsonl", '{"file": "a"}\n{"file": ', "line 2 is not valid JSON"),
        ("metadata.jsonl", '["a"]', "line 1 is not an object"),
        ("metadata.jsonl", '{"year": 1}', "line 1 names no file"),
        ("metadata.json", "[1]", "object 1 is not an object"),
        ("metadata.json", '{"a": 1}', "neither a list of objects"),
        ("metadata.json", "[" * 100_000, "is not valid JSON"),
        ("metadata.csv", "file,year\nphoto.jpg,1,2\n", "line 2 has 3 cells, but the header has 2"),
        ("metadata.csv", "file,file\nphoto.jpg,1\n", "line 1 has a duplicate"),
        ("metadata.csv", 'file,year\n"photo.jpg,1\n', "not CSV at line"),
        ("metadata.csv", "name,year\nphoto.jpg,1\n", "line 2 names no file"),
        ("metadata.csv", "file,note\nphoto.jpg,caf\udce9\n", "not valid UTF-8 at byte"),
        ("metadata.csv", "file,year\nphoto.jpg,1\n../up.jpg,2\nsub/x.jpg,3\n", "1 more"),
        ("metadata.csv", "file,year\nphoto.jpg,1\nphoto.jpg,2\n", "'photo.jpg' again"),
    ],
)
def test_an_invalid_table_is_one_problem_and_fails_no_file(
    tmp_path: Path, name: str, content: str, reason: str
) -> None:
    table = tmp_path / name
    table.write_bytes(content.encode("utf-8", "surrogateescape"))
    sidecars = Sidecars()
    for file_name in ("photo.jpg", "other.jpg"):
        assert sidecars.metadata_for(photo(tmp_path, file_name)).metadata in ({}, {"year": 1})
    (problem,) = sidecars.problems
    assert problem.uri == str(table)
    assert reason in problem.reason


@pytest.mark.parametrize(
    ("suffix", "content", "reason"),
    [
        ("json", '{"year": ', "'photo.jpg.json' is not valid JSON at line 1"),
        ("json", "[1]", "is not a mapping"),
        ("json", '{"a": {"b": 1}, "a.b": 2}', "duplicate metadata key 'a.b'"),
        ("json", '{"a": [{"b": 1}, 2]}', "'a' is a list that contains a dict"),
        ("json", '{"a": 1e999}', "not a finite number"),
        ("json", '{"a": "\\ud800"}', "not valid Unicode"),
        ("json", '{"": 1}', "is not a valid name"),
        ("json", '{"title": ["x"]}', "the title is a list"),
        ("json", '{"a": 9223372036854775808}', "beyond 64 bits"),
        ("json", "{" + '"a": {' * 40 + "}" * 41, "nested deeper"),
        ("json", "", "is not valid JSON"),
        ("yaml", "a: [b", "'photo.jpg.yaml' is not valid YAML at line"),
        ("yaml", "a: !!binary aGk=", "'a' is a bytes"),
        ("yaml", "a: 1\n\0", "NUL"),
        ("yaml", " " * (1024 * 1024 + 1), "1,048,577 bytes"),
    ],
)
def test_an_invalid_sidecar_is_a_notice_for_its_file_only(
    tmp_path: Path, suffix: str, content: str, reason: str
) -> None:
    path = photo(tmp_path)
    (tmp_path / f"photo.jpg.{suffix}").write_text(content)
    sidecars = Sidecars()
    (notice,) = sidecars.metadata_for(path).notices
    assert reason in notice
    assert sidecars.metadata_for(photo(tmp_path, "other.jpg")) == Sidecar()
    assert sidecars.problems == ()


def test_a_value_without_a_type_is_kept_as_json_text(tmp_path: Path) -> None:
    (tmp_path / "metadata.jsonl").write_text(
        '{"file": "photo.jpg", "a": [[1]]}\n{"file": "other.jpg", "a": 1}\n'
    )
    sidecars = Sidecars()
    found = sidecars.metadata_for(photo(tmp_path))
    assert found.metadata == {"a": "[[1]]"}
    assert found.notices == ("metadata 'a' is a list that contains a list; kept as JSON text",)
    assert sidecars.metadata_for(photo(tmp_path, "other.jpg")).metadata == {"a": 1}


def test_a_table_over_the_limit_is_a_problem(tmp_path: Path) -> None:
    with (tmp_path / "metadata.json").open("wb") as stream:
        stream.truncate(2**30)
    sidecars = Sidecars()
    assert sidecars.metadata_for(photo(tmp_path)) == Sidecar()
    assert "1,073,741,824 bytes" in sidecars.problems[0].reason


def test_a_folder_named_like_a_table_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").mkdir()
    sidecars = Sidecars()
    assert sidecars.metadata_for(photo(tmp_path)) == Sidecar()
    assert "a folder, not a file" in sidecars.problems[0].reason


@pytest.mark.parametrize(
    "name", ["it's.jpg", 'a "b".jpg', "two\nlines.jpg", "🦑 ink.jpg", os.fsdecode(b"caf\xe9.jpg")]
)
def test_odd_names_are_found(tmp_path: Path, name: str) -> None:
    path = photo(tmp_path, name)
    (tmp_path / "metadata.jsonl").write_text(json.dumps({"file": name, "n": 1}))
    (tmp_path / f"{name}.json").write_text('{"m": 2}')
    sidecars = Sidecars()
    assert sidecars.metadata_for(path).metadata == {"n": 1, "m": 2}
    assert sidecars.is_sidecar(tmp_path / f"{name}.json")


def test_accents_match_in_any_normal_form(tmp_path: Path) -> None:
    path = photo(tmp_path, "Mu\u0308on.jpg")
    (tmp_path / "metadata.csv").write_text("file,n\nM\u00fcon.jpg,1\n")
    assert Sidecars().metadata_for(path).metadata == {"n": 1}


def test_is_sidecar(tmp_path: Path) -> None:
    photo(tmp_path)
    sidecars = Sidecars()
    for name in ("photo.jpg.json", "photo.jpg.yml", "metadata.csv", "metadata.jsonl"):
        assert sidecars.is_sidecar(tmp_path / name), name
    for name in ("photo.jpg", "photo.json", "gone.jpg.json", "photo.jpg.txt", "data.csv"):
        assert not sidecars.is_sidecar(tmp_path / name), name


def test_a_folders_table_is_read_once(tmp_path: Path) -> None:
    table = tmp_path / "metadata.csv"
    table.write_text("file,n\nphoto.jpg,1\n")
    sidecars = Sidecars()
    assert sidecars.metadata_for(photo(tmp_path)).metadata == {"n": 1}
    table.unlink()
    assert sidecars.metadata_for(photo(tmp_path)).metadata == {"n": 1}
    assert Sidecars().metadata_for(photo(tmp_path)).metadata == {}


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("year=2024", ("year", 2024)),
        ("n=-3", ("n", -3)),
        ("x = 1.5e3", ("x", 1500.0)),
        ("ok=True", ("ok", True)),
        ("day=2024-05-01", ("day", datetime.date(2024, 5, 1))),
        ("day=2024-02-31", ("day", "2024-02-31")),
        ("zip=00123", ("zip", "00123")),
        ("big=99999999999999999999", ("big", "99999999999999999999")),
        ("not=nan", ("not", "nan")),
        ("inf=1e999", ("inf", "1e999")),
        ("who=A = B", ("who", "A = B")),
        ("none=", ("none", "")),
    ],
)
def test_options_are_typed_like_cells(option: str, expected: tuple[str, Value]) -> None:
    found = coerce_option(option)
    assert found == expected
    assert type(found[1]) is type(expected[1])


@pytest.mark.parametrize("option", ["year", "=2024", " =x", "a=\udce9"])
def test_invalid_options_are_rejected(option: str) -> None:
    with pytest.raises(UsageError, match=r"is not (KEY=VALUE|valid UTF-8)"):
        coerce_option(option)
