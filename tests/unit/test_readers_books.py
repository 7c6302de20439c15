"""The readers of EPUB books and Jupyter notebooks."""

from __future__ import annotations

import base64
import datetime
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from trawl.errors import ReadError
from trawl.readers import media_type_of, read
from trawl.types import Passages, Picture, Reading

EPUB = "application/epub+zip"
NOTEBOOK = "application/x-ipynb+json"
PACKAGE = """<package xmlns="http://www.idpf.org/2007/opf" version="3.0">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Rays</dc:title>
<dc:creator>Victor Hess</dc:creator><dc:language>en</dc:language><dc:date>1912-08-07</dc:date>
</metadata><manifest>
<item id="n" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="b" href="text/two.xhtml" media-type="application/xhtml+xml"/>
<item id="a" href="text/one.xhtml" media-type="application/xhtml+xml"/>
<item id="c" href="text/gone.xhtml" media-type="application/xhtml+xml"/>
<item id="p" href="beam%20line.png" media-type="image/png"/></manifest>
<spine><itemref idref="n"/><itemref idref="a"/><itemref idref="b"/><itemref idref="c"/></spine>
</package>"""
PAGE = (
    '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head>'
    "<body>{}</body></html>"
)
LONG = "The rays come from above. " * 12


def picture() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (60, 40), "red").save(stream, "PNG")
    return stream.getvalue()


def book(path: Path, **members: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", EPUB)
        container = '<container><rootfiles><rootfile full-path="o/p.opf"/></rootfiles></container>'
        archive.writestr("META-INF/container.xml", container)
        archive.writestr("o/p.opf", PACKAGE)
        archive.writestr(
            "o/nav.xhtml",
            PAGE.format(
                "<nav><ol><li><a href='text/two.xhtml#x'>Second balloon</a></li></ol></nav>"
            ),
        )
        archive.writestr("o/text/one.xhtml", PAGE.format(f"<h1>First</h1><p>{LONG}</p>"))
        figure = "<img src='../beam%20line.png' alt='a beam'/><img src='../lost.png'/>"
        archive.writestr("o/text/two.xhtml", PAGE.format(f"<p>{LONG}</p>{figure}"))
        archive.writestr("o/beam line.png", picture())
        for name, text in members.items():
            archive.writestr(f"META-INF/{name}.xml", text)
    return path


def test_a_book_is_its_chapters_in_order(tmp_path: Path) -> None:
    path = book(tmp_path / "a.epub")
    assert media_type_of(path) == EPUB
    found = read(path, EPUB)
    assert found.title == "Rays"
    assert found.metadata == {
        "authors": ["Victor Hess"],
        "language": "en",
        "published": datetime.date(1912, 8, 7),
    }
    one, two, drawn = found.parts
    assert isinstance(one, Passages)
    assert (one.section, one.text) == ("First", f"First\n\n{LONG.strip()}")
    assert isinstance(two, Passages)
    assert two.section == "Second balloon"  # from the table of contents
    assert isinstance(drawn, Picture)
    assert (drawn.caption, drawn.section) == ("a beam", "Second balloon")
    assert found.notices == (
        "the picture ../lost.png is not in the book",
        "the chapter o/text/gone.xhtml is not indexed: the member 'o/text/gone.xhtml' is missing",
    )


def test_a_book_with_copy_protection_is_refused(tmp_path: Path) -> None:
    reference = '<e><CipherReference URI="{}"/></e>'
    fonts = book(tmp_path / "a.epub", encryption=reference.format("o/font.otf"))
    assert read(fonts, EPUB).title == "Rays"
    locked = book(tmp_path / "b.epub", encryption=reference.format("o/text/one.xhtml"))
    with pytest.raises(ReadError, match=r"protected against copying \(DRM\)"):
        read(locked, EPUB)


def notebook(folder: Path, cells: list[dict[str, Any]], **metadata: Any) -> Reading:
    path = folder / "a.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4}))
    assert media_type_of(path) == NOTEBOOK
    return read(path, NOTEBOOK)


def test_a_notebook_is_text_code_and_outputs_with_pictures(tmp_path: Path) -> None:
    data = base64.b64encode(picture()).decode()
    found = notebook(
        tmp_path,
        [
            {"cell_type": "markdown", "source": ["# Muons\n", "\n", LONG, "\n## Fit\n", "words"]},
            {
                "cell_type": "code",
                "source": "plot(x)",
                "outputs": [
                    {
                        "output_type": "stream",
                        "text": ["10 %\r50 %\r100 %\n", "\x1b[31mred\x1b[0m"],
                    },
                    {
                        "output_type": "display_data",
                        "data": {"image/png": data, "text/plain": "<F>"},
                    },
                    {
                        "output_type": "execute_result",
                        "data": {
                            "text/plain": "a b",
                            "text/html": ["<table><tr><th>a<th>b<tr>", "<td>1<td>2</table>"],
                        },
                    },
                    {"output_type": "error", "ename": "ValueError", "evalue": "no fit"},
                ],
            },
            {
                "cell_type": "markdown",
                "source": "![a beam](attachment:b.png) and ![far](http://e.org/x.png)",
                "attachments": {"b.png": {"image/png": data}},
            },
            {"cell_type": "raw", "source": "the end"},
        ],
        language_info={"name": "python"},
        authors=[{"name": "Lise Meitner"}],
    )
    assert found.title == "Muons"
    assert found.metadata == {"programming_language": "python", "authors": ["Lise Meitner"]}
    parts = list(found.parts)
    texts = [part.text for part in parts if isinstance(part, Passages)]
    assert texts == [
        f"Muons\n\n{LONG.strip()}",
        "Fit\n\nwords",
        "plot(x)\n\n100 %\nred",
        "| a | b |\n| --- | --- |\n| 1 | 2 |",
        "ValueError: no fit",
        "a beam and far",
        "the end",
    ]
    pictures = [part for part in parts if isinstance(part, Picture)]
    assert [(one.page, one.section, one.caption) for one in pictures] == [
        (2, "Fit", ""),
        (3, "Fit", "a beam"),
    ]


def test_long_outputs_are_cut_with_a_notice(tmp_path: Path) -> None:
    output = {"output_type": "stream", "text": "x" * 20_000}
    found = notebook(tmp_path, [{"cell_type": "code", "source": "run()", "outputs": [output]}])
    (part,) = found.parts
    assert isinstance(part, Passages)
    assert len(part.text) == len("run()\n\n") + 10_000
    assert found.notices == ("outputs of more than 10,000 characters are cut: 1",)


def test_a_notebook_of_format_3(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    cells = [
        {"cell_type": "heading", "level": 1, "source": "Old"},
        {
            "cell_type": "code",
            "input": ["x = 1"],
            "outputs": [{"output_type": "pyout", "text": "1"}],
        },
    ]
    path.write_text(json.dumps({"worksheets": [{"cells": cells}], "nbformat": 3}))
    found = read(path, NOTEBOOK)
    assert found.title == "Old"
    assert [part.text for part in found.parts if isinstance(part, Passages)] == [
        "Old",
        "x = 1\n\n1",
    ]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{", "not valid JSON"),
        ("[]", "not a Jupyter notebook"),
        ('{"cells": []}', "contains no cells"),
        ('{"cells": [{"cell_type": "code", "source": ""}]}', "no text"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_damaged_notebooks_are_refused(tmp_path: Path, source: str, reason: str) -> None:
    path = tmp_path / "a.ipynb"
    path.write_text(source)
    with pytest.raises(ReadError, match=reason):
        read(path, NOTEBOOK)
