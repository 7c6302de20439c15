"""The HTML reader."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from PIL import Image

from trawl.errors import ReadError
from trawl.readers import flow, picture_links, read
from trawl.types import Passages, Picture, Reading

PAGE = """<!DOCTYPE html><html lang="en"><head><title>Muon
  decay</title><style>p {color: red}</style><meta name="author" content="M. Curie"></head><body>
<nav><a href="/">Home</a></nav><script>var hidden = 1</script>
<h1>Muons</h1><p>A muon decays <b>into</b> an electron&nbsp;and neu<wbr>trinos.<br>Always.</p>
<h2>Lifetime</h2><ul><li>at rest<li>in flight</ul>
<table><caption>Table 1. Lifetimes</caption>
<tr><th>particle<th>lifetime<tr><td rowspan=2>muon<td>2.2 µs<tr><td>660 m</table>
<h2>Beams</h2><p>After the table.</p><footer>Imprint</footer></body></html>"""


def picture(colour: str = "red", side_px: int = 40) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (side_px, side_px), colour).save(stream, "PNG")
    return stream.getvalue()


def data_uri(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()


def reading(folder: Path, source: str | bytes, name: str = "a.html") -> Reading:
    path = folder / name
    path.write_bytes(source.encode() if isinstance(source, str) else source)
    return read(path, "text/html")


def texts(found: Reading) -> list[str]:
    return [part.text for part in found.parts if isinstance(part, Passages)]


@pytest.fixture
def unjoined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the few words of a sample be a section."""
    monkeypatch.setattr(flow, "_MIN_CHARS", 0)


@pytest.mark.usefixtures("unjoined")
def test_a_page_is_text_with_sections(tmp_path: Path) -> None:
    found = reading(tmp_path, PAGE)
    assert found.title == "Muon decay"
    assert found.metadata == {"authors": ["M. Curie"], "language": "en"}
    parts = [part for part in found.parts if isinstance(part, Passages)]
    assert [(part.section, part.label) for part in parts] == [
        ("Muons", ""),
        ("Muons › Lifetime", ""),
        ("Muons › Lifetime", "Table 1"),
        ("Muons › Beams", ""),
    ]
    assert parts[0].text == ("Muons\n\nA muon decays into an electron and neutrinos.\nAlways.")
    assert parts[1].text == "Lifetime\n\nat rest\nin flight"
    assert parts[2].whole
    assert parts[2].text == (
        "Table 1. Lifetimes\n\n| particle | lifetime |\n| --- | --- |\n"
        "| muon | 2.2 µs |\n| muon | 660 m |"
    )
    assert parts[3].text == "Beams\n\nAfter the table."
    whole = "\n\n".join(part.text for part in parts)
    assert all(whole[part.start_char :].startswith(part.text) for part in parts)


def test_short_sections_are_joined_and_the_title_is_no_section(tmp_path: Path) -> None:
    long = "A muon decays into an electron and two neutrinos. " * 10
    found = reading(
        tmp_path,
        f"<h1>Decays</h1><h2>One</h2><p>Few.</p><h2>Two</h2><p>{long}</p><h2>Three</h2><p>End.</p>",
    )
    parts = [part for part in found.parts if isinstance(part, Passages)]
    assert [part.section for part in parts] == ["Two", "Three"]
    assert parts[0].text.startswith("Decays\n\nOne\n\nFew.\n\nTwo\n\nA muon")


def test_navigation_scripts_and_hidden_elements_are_left_out(tmp_path: Path) -> None:
    (text,) = texts(
        reading(
            tmp_path,
            "<div role=navigation>menu</div><p hidden>secret</p><template>x</template>"
            "<button>buy</button><!-- note --><article>words<footer>sources</footer></article>"
            "<footer>imprint</footer>",
        )
    )
    assert text == "words\n\nsources"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("<meta charset=windows-1251><p>привет".encode("cp1251"), "привет"),
        ("<p>naïve".encode("latin-1"), "naïve"),
        ("<meta charset=iso-8859-1><p>“naïve”".encode("cp1252"), "“naïve”"),
        ("<p>naïve".encode("utf-16"), "naïve"),
        ("<meta charset=nonsense><p>naïve".encode("latin-1"), "naïve"),
        (b"<p>unclosed <i>words", "unclosed words"),
        (
            b"<?xml version='1.0'?><html><head><title/></head><body><a id='x'/>words</body></html>",
            "words",
        ),
    ],
)
def test_pages_are_decoded_as_browsers_do(tmp_path: Path, source: bytes, expected: str) -> None:
    assert texts(reading(tmp_path, source)) == [expected]


def test_a_table_that_arranges_a_page_is_text(tmp_path: Path) -> None:
    found = texts(
        reading(
            tmp_path,
            "<table><tr><td>left<td><table><tr><td>a<td>b<tr><td>1<td>2</table></table>"
            "<table role=presentation><tr><td>one<td>two</table>",
        )
    )
    assert found == ["left", "| a | b |\n| --- | --- |\n| 1 | 2 |", "one\n\ntwo"]


def test_formulas_are_tex_if_the_page_has_it(tmp_path: Path) -> None:
    (text,) = texts(
        reading(
            tmp_path,
            "<p>With <math alttext='E=mc^2'><mi>E</mi></math> and <math><semantics><mi>x</mi>"
            "<annotation encoding='application/x-tex'>x_1</annotation></semantics></math> and "
            "<math><mi>y</mi><mo>+</mo><mn>1</mn></math>.",
        )
    )
    assert text == "With E=mc^2 and x_1 and y + 1 ."


def test_embedded_pictures_have_their_captions(tmp_path: Path) -> None:
    found = reading(
        tmp_path,
        f"<h1>Results</h1><h2>Signal</h2><p>Before.</p><figure>"
        f"<img src='{data_uri(picture())}' alt='a red square'>"
        "<figcaption>Figure 2: The <b>signal</b>.</figcaption></figure><p>After.</p>"
        f"<img src='{data_uri(picture('blue'))}' alt='blue'>"
        f"<img src='{data_uri(picture('blue', 4))}'><img src='data:image/png;base64,AAAA'>",
    )
    parts = list(found.parts)
    pictures = [part for part in parts if isinstance(part, Picture)]
    assert [(one.caption, one.label, one.section) for one in pictures] == [
        ("Figure 2: The signal.\na red square", "Figure 2", "Signal"),
        ("blue", "", "Signal"),
    ]
    assert found.late_notices == [
        "the picture data:image/png;base64,iVBORw0KGgoAAAANSU… is not indexed: smaller than "
        "24 pixels",
        "the picture data:image/png;base64,AAAA is not indexed: not a known picture format",
    ]


def test_the_caption_of_a_damaged_picture_is_kept_as_text(tmp_path: Path) -> None:
    found = reading(
        tmp_path,
        "<p>Words.</p><figure><img src='data:,nothing'><figcaption>Figure 1. A beam</figcaption>"
        "</figure><p>End.</p>",
    )
    assert texts(found) == ["Words.\n\nEnd.", "Figure 1. A beam"]
    assert len(found.late_notices) == 1


def test_pictures_beside_a_page_are_joined_with_their_captions(tmp_path: Path) -> None:
    (tmp_path / "a_files").mkdir()
    (tmp_path / "a_files" / "beam line.png").write_bytes(picture())
    found = reading(
        tmp_path,
        "<figure><img src='a_files/beam%20line.png' alt='magnets'><figcaption>The beam line"
        "</figcaption></figure><img src='gone.png' alt='lost'><img src='http://e.org/b.png'>"
        "<img data-src='//e.org/c.png' src='data:image/gif;base64,AA'>",
    )
    assert texts(found) == ["magnets\n\nThe beam line\n\nlost"]
    assert found.notices == (
        "2 pictures are on other servers and are not indexed",
        "missing pictures: gone.png",
    )
    links = picture_links(tmp_path / "a.html", "text/html")
    assert [(link.path.name, link.caption) for link in links] == [
        ("beam line.png", "The beam line"),
        ("gone.png", "lost"),
    ]


def test_deep_pages_are_refused_or_read_completely(tmp_path: Path) -> None:
    assert texts(reading(tmp_path, "<i>" * 5_000 + "deep words")) == ["deep words"]
    with pytest.raises(ReadError, match="nested deeper than 2,000 levels"):
        reading(tmp_path, "<div>" * 100_000 + "words")


@pytest.mark.parametrize("source", [b"", b"<p> </p>", b"<script>x</script>", b"a\0b"])
def test_pages_without_content_are_refused(tmp_path: Path, source: bytes) -> None:
    with pytest.raises(ReadError, match=r"no text|not text"):
        reading(tmp_path, source)
