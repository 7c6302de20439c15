"""Documents whose metadata differ in kind: all are added, and filters find them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import lance
import pytest
from typer.testing import CliRunner

from conftest import picture
from trawl import Library
from trawl.cli.main import app
from trawl.errors import FilterError

# Values as people write them. `None` marks those that are kept without a notice.
VALUES: dict[str, str | None] = {
    "4": None,
    "4.5": None,
    "'4'": None,
    "NO": None,
    "true": None,
    "~": None,
    "01234": None,
    "12:30": None,
    "1.10": None,
    "2024-05-01": None,
    "2024-05-01 10:00:00": None,
    "2024-05-01T10:00:00+02:00": None,
    "2024-02-30": None,
    "May 2024": None,
    "[a, b]": None,
    "[]": None,
    "[1, 2.5, true]": None,
    "{x: 1, y: {z: a}}": None,
    "!!set {b, a}": None,
    "0x1F": None,
    "${HOME} 🐚": None,
    "[[Some note]]": "a list that contains a list",
    "[{name: Ann}]": None,
    "[{name: Ann}, Bob]": "a list that contains a dict",
    ".nan": "not a finite number",
    "-.inf": "not a finite number",
    "123456789012345678901234567890": "beyond 64 bits",
    "1e999": "not a finite number",
    "!!binary aGk=": "a bytes",
    "[unclosed": "not valid YAML",
    "{{ title }}": "not valid YAML",
    "!custom x": "not valid YAML",
    "@handle": "not valid YAML",
    "a: b: c": "not valid YAML",
}
KEYS = ("rating", "tags", "created", "zip", "on", "a b", "schlüssel", "modality", "2024")


def note(front: str, text: str) -> str:
    return f"---\n{front}\n---\n\n{text}\n"


def write(folder: Path, **fronts: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, front in fronts.items():
        (folder / f"{name}.md").write_text(note(front, f"lighthouse {name}"), "utf-8")
    return folder


def names(library: Library, where: str) -> list[str]:
    hits = library.search("lighthouse", where=where, limit=50).hits
    return sorted({Path(hit.uri).stem for hit in hits})


@pytest.mark.timeout(240)
def test_a_thousand_notes_with_odd_front_matter(library: Library, tmp_path: Path) -> None:
    chance = random.Random(12)
    folder = tmp_path / "notes"
    folder.mkdir()
    expected = 0
    for number in range(1_000):
        keys = chance.sample(KEYS, chance.randint(1, 3))
        front = {key: chance.choice(list(VALUES)) for key in keys}
        lines = "\n".join(f"{key}: {value}" for key, value in front.items())
        (folder / f"{number:04}.md").write_text(note(lines, f"body of note{number}"), "utf-8")
        broken = any("YAML" in (VALUES[value] or "") for value in front.values())
        odd = sum(VALUES[value] is not None for value in front.values())
        expected += 1 if broken else odd
    report = library.add(folder)
    assert (report.added, report.failed) == (1_000, ())
    assert len(report.notices) == len(library.status().notices) == expected > 100
    assert library.add(folder).unchanged == 1_000
    for number in (0, 500, 999):
        hits = library.query(f"+note{number}").hits
        assert [Path(hit.uri).stem for hit in hits] == [f"{number:04}"]
    by_column: dict[tuple[str, str], set[str]] = {}
    for row in library.documents():
        for key, value in row.metadata.items():
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, str) and key != "modality":
                    by_column.setdefault((key, item), set()).add(row.document_id)
    assert len(by_column) > 50
    for (key, item), ids in by_column.items():
        quoted = item.replace("'", "''")
        found = library.document_page(where=f"\"{key}\" = '{quoted}'").documents
        assert ids <= {row.document_id for row in found}, (key, item)


def test_columns_do_not_depend_on_the_order_of_documents(tmp_path: Path) -> None:
    fronts = {
        "a": "rating: 4\ntags: alpha\ncreated: 2024-05-01\nyear: 2021",
        "b": "rating: 4.5\ntags: [alpha, beta]\ncreated: 2024-05-02 10:00:00\nyear: n.d.",
        "c": "rating: 3\nyear: 1999",
    }
    for number, order in enumerate(("abc", "bca", "cba")):
        folder = tmp_path / f"in{number}"
        with Library(tmp_path / f"library{number}", create=True) as library:
            for name in order:
                assert library.add(write(folder, **{name: fronts[name]})).failed == ()
            columns = library.columns()
            assert columns["rating"] == "real"
            assert columns["tags"] == "texts"
            assert columns["created"] == "datetime"
            assert columns["year"] == "text"
            assert library.show(folder / "a.md").document.metadata["rating"] == 4
            for where, expected in {
                "rating = 4": "a",
                "rating > 3": "ab",
                "tags = 'alpha'": "ab",
                "tags contains 'beta'": "b",
                "created = '2024-05-02'": "b",
                "created <= '2024-05-01'": "a",
                "created > date '2024-05-01'": "b",
                "year = 2021": "a",
                "year >= 2000": "a",
                "year = 'n.d.'": "b",
                "year != 2021": "bc",
            }.items():
                assert "".join(names(library, where)) == expected, where
            assert names(library, "year is not null") == ["a", "b", "c"]
            (facet,) = library.facets(["year"])
            assert dict(facet.counts) == {"2021": 1, "n.d.": 1, "1999": 1}
            library.remove(folder / "b.md")
            assert library.columns()["year"] == library.columns()["rating"] == "integer"
            assert library.columns()["created"] == "date"
            assert names(library, "year >= 2000 and rating = 4") == ["a"]
            library.remove([folder / "a.md", folder / "c.md"])
            assert "year" not in library.columns()


def test_a_removed_value_does_not_fix_the_type(library: Library, tmp_path: Path) -> None:
    folder = write(tmp_path / "in", old='year: "n.d."')
    library.add(folder)
    library.remove(folder)
    (folder / "old.md").unlink()
    library.add(write(folder, n1="year: 2021", n2="year: 2022"))
    assert library.columns()["year"] == "integer"
    assert names(library, "year > 2021") == ["n2"]
    with pytest.raises(FilterError, match="no column"):
        library.search("lighthouse", where="gone = 1")


def test_an_edit_widens_a_column(library: Library, tmp_path: Path) -> None:
    folder = write(tmp_path / "in", a="year: 2021", b="year: 2022")
    library.add(folder)
    document_id = library.show(folder / "a.md").document.document_id
    library.set_metadata(document_id, {"year": "about 2021"})
    assert library.columns()["year"] == "text"
    assert names(library, "year = 2022") == ["b"]
    assert names(library, "year contains 'about'") == ["a"]
    library.set_metadata(document_id, {"year": 2020})
    assert library.columns()["year"] == "integer"
    assert names(library, "year < 2022") == ["a"]


@pytest.mark.parametrize("step", ["alter_columns", "drop_columns", "add_columns"])
def test_a_writer_killed_while_it_rewrites_a_column(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    folder = write(tmp_path / "in", a="year: 2021\nrating: 1")
    library.add(folder)
    write(folder, b="year: n.d.\nrating: 4.5")

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(lance.LanceDataset, step, killed)
        with pytest.raises(KeyboardInterrupt):
            library.add(folder)
    assert names(library, "rating = 1") == ["a"]
    assert library.add(folder).failed == ()
    assert names(library, "year = 2021 and rating = 1") == ["a"]
    assert names(library, "year = 'n.d.' and rating > 4") == ["b"]
    schema = lance.dataset(str(library.path / "chunks.lance")).schema
    assert not [name for name in schema.names if name.startswith(("new_", "old_"))]


def test_an_unreadable_file_keeps_the_type_of_its_values(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "in", a="year: n.d.", b="year: 2021")
    library.add(folder)

    def unreadable(*_: object) -> str:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("trawl.ingest.reading.fingerprints", unreadable)
        assert len(library.add(folder).failed) == 2
    assert library.columns()["year"] == "text"
    assert names(library, "year = 'n.d.'") == ["a"]


def test_sidecars_and_tables_with_odd_values(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("one", "two", "three", "four"):
        picture("white", "red").save(folder / f"{name}.png")
    (folder / "one.png.json").write_text('{"people": [{"name": "Jane"}], "year": 1}', "utf-8")
    (folder / "two.png.json").write_text('{"broken": ', "utf-8")
    (folder / "three.png.yaml").write_text("caption: [a, b]\nscore: .nan\n", "utf-8")
    (folder / "metadata.csv").write_text(
        "file,zip\none.png,90210\ntwo.png,02139\nthree.png,SW1A\n", "utf-8"
    )
    report = library.add(folder)
    assert (report.added, report.failed) == (4, ())
    found = {Path(row.uri).stem: row for row in library.documents()}
    assert found["one"].metadata == {"zip": "90210", "people.name": ["Jane"], "year": 1}
    assert found["two"].metadata == {"zip": "02139"}
    assert found["three"].metadata == {"zip": "SW1A", "score": "NaN"}
    assert [len(found[name].notices) for name in ("one", "two", "three", "four")] == [0, 1, 2, 0]


def run(*arguments: object) -> Any:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_notices_in_the_output_of_commands(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", a="related: [[b]]", b="year: 2021")
    library = tmp_path / "library"
    added = json.loads(run("add", folder, "-l", library, "--json"))
    (notice,) = added["notices"]
    assert notice["uri"].endswith("a.md")
    assert notice["notice"] == (
        "metadata 'related' is a list that contains a list; kept as JSON text"
    )
    status = json.loads(run("status", "-l", library, "--json", "--notices"))
    assert (status["notices"], status["noticed"]) == (1, [notice])
    assert "noticed" not in json.loads(run("status", "-l", library, "--json"))
    shown = json.loads(run("show", folder / "a.md", "-l", library, "--json"))
    assert shown["notices"] == [notice["notice"]]
    assert "--notices" in run("status", "-l", library)
    assert "contains a list" in run("status", "-l", library, "--notices")
    (folder / "a.md").write_text(note("related: b", "changed"), "utf-8")
    assert "notices" not in run("add", folder, "-l", library)
    assert json.loads(run("status", "-l", library, "--json"))["notices"] == 0


def test_a_library_without_the_column_of_notices(library: Library, tmp_path: Path) -> None:
    folder = write(tmp_path / "in", a="year: 2021")
    library.add(folder)
    documents = lance.dataset(str(library.path / "documents.lance"))
    documents.drop_columns(["notices"])
    with Library(library.path) as older:
        assert older.status().notices == ()
        assert older.document_page(notices=True).total == 0
        assert older.document_page(notices=False).total == 1
        older.add(write(folder, b="year: [[1]]"))
        assert older.document_page(notices=True).total == 1
        assert older.document_page(notices=False).total == 1
