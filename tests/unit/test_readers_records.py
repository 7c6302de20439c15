"""Readers of source files, tables and JSON lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from trawl import Library
from trawl.errors import ReadError
from trawl.readers import media_type_of, read
from trawl.types import Passages, Reading


def reading(folder: Path, name: str, content: str) -> Reading:
    path = folder / name
    path.write_text(content, "utf-8")
    media_type = media_type_of(path)
    assert media_type is not None
    return read(path, media_type)


def rows(found: Reading) -> dict[int, str]:
    """Return the text of each row by its number."""
    (part,) = found.parts
    assert isinstance(part, Passages)
    ends = [start for start, _ in part.rows[1:]] + [len(part.text)]
    return {
        number: part.text[start:end].strip()
        for (start, number), end in zip(part.rows, ends, strict=True)
    }


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "name,note\nmuon,heavy\n\npion,light\n"),
        ("a.csv", "name;note\nmuon;heavy\n\npion;light\n"),
        ("a.csv", "name\tnote\nmuon\theavy\n\npion\tlight\n"),
        ("a.csv", "name|note\r\nmuon|heavy\r\n\r\npion|light"),
        ("a.csv", '"name","note"\n"muon","heavy"\n\n"pion","light"\n'),
        ("a.tsv", "name\tnote\nmuon\theavy\n\t\npion\tlight\n"),
    ],
)
def test_tables_are_rows_with_the_names_of_their_columns(
    tmp_path: Path, name: str, content: str
) -> None:
    assert rows(reading(tmp_path, name, content)) == {
        2: "name: muon\nnote: heavy",
        4: "name: pion\nnote: light",
    }


def test_cells_with_delimiters_quotes_and_lines(tmp_path: Path) -> None:
    found = reading(tmp_path, "a.csv", 'a,b\n"x, ""y""","two\nlines"\n1,,more,cells\n')
    assert rows(found) == {2: 'a: x, "y"\nb: two\nlines', 3: "a: 1\nmore\ncells"}


def test_a_stated_delimiter(tmp_path: Path) -> None:
    assert rows(reading(tmp_path, "a.csv", "sep=;\na,x;b\n1;2\n")) == {3: "a,x: 1\nb: 2"}


def test_a_table_without_names(tmp_path: Path) -> None:
    assert rows(reading(tmp_path, "a.csv", "muon,105.7\npion,139.6\n")) == {
        1: "muon\n105.7",
        2: "pion\n139.6",
    }


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", "a,b\n", "names of columns only"),
        ("a.csv", "\n , \n", "no rows"),
        ("a.jsonl", "\n \n", "no records"),
        ("a.jsonl", "null\n{}\n", "no records"),
        ("a.py", " \n", "only white space"),
    ],
)
def test_tables_without_content_are_refused(
    tmp_path: Path, name: str, content: str, reason: str
) -> None:
    with pytest.raises(ReadError, match=reason):
        reading(tmp_path, name, content)


def test_json_lines(tmp_path: Path) -> None:
    found = reading(
        tmp_path,
        "a.jsonl",
        '{"name": "muon", "mass": {"value": 105.7, "unit": "MeV"}, "tags": ["heavy", 2], "x": null}'
        "\n"
        '\n"a text"\n{"list": [{"a": 1}, {"a": [true]}]}\n{"odd": "\\ud800 \\u0000"}\n',
    )
    assert found.notices == ()
    assert rows(found) == {
        1: "name: muon\nmass.value: 105.7\nmass.unit: MeV\ntags: heavy, 2",
        3: "a text",
        4: "list.a: 1\nlist.a: true",
        5: "odd: ? \ufffd",
    }


def test_lines_that_are_not_json_are_kept_with_a_notice(tmp_path: Path) -> None:
    deep = "[" * 100_000
    found = reading(tmp_path, "a.jsonl", f'{{"a": 1}}\n{{"torn": "muo\n{deep}\n')
    assert rows(found) == {1: "a: 1", 2: '{"torn": "muo', 3: deep}
    assert found.notices == ("2 lines are not JSON and are kept as text, the first is line 2",)


@pytest.mark.parametrize(
    ("name", "content", "media_type", "title"),
    [
        ("decay.py", "#!/usr/bin/env python\nprint('muon')\n", "text/x-source", "decay.py"),
        ("paper.tex", "text", "text/x-tex", "paper"),
        ("a.rst", "=====\nMuons\n=====\n\ntext\n", "text/x-rst", "Muons"),
        ("a.rst", ".. note\n\nMuons\n-----\n\ntext\n", "text/x-rst", "Muons"),
        ("plain.rst", "text only\n--\n", "text/x-rst", "plain"),
    ],
)
def test_source_files_are_text_with_a_title(
    tmp_path: Path, name: str, content: str, media_type: str, title: str
) -> None:
    found = reading(tmp_path, name, content)
    assert (found.media_type, found.title) == (media_type, title)
    (part,) = found.parts
    assert isinstance(part, Passages)
    assert part.text == content


def test_hits_in_tables_name_their_rows(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "particles.csv"
    lines = [f"particle{n},{'A long note about it. ' * 40}" for n in range(1, 20)]
    path.write_text("name,note\n" + "\n".join(lines), "utf-8")
    library.add(path)
    hit = library.search("+particle7").hits[0]
    assert hit.detail.startswith("row")
    first, _, last = hit.detail.removeprefix("rows ").removeprefix("row ").partition("–")
    assert int(first) <= 8 <= int(last or first)


def test_a_cell_of_any_length_is_read(tmp_path: Path) -> None:
    long = "x" * 300_000
    assert rows(reading(tmp_path, "a.csv", f'a,b\n1,"{long}"\n2,y\n')) == {
        2: f"a: 1\nb: {long}",
        3: "a: 2\nb: y",
    }
