"""Text and Markdown readers."""

from __future__ import annotations

import contextlib
import datetime
import re
import time
from pathlib import Path

import pytest

from trawl.errors import ReadError
from trawl.readers import media_type_of, read
from trawl.readers.markdown import picture_links
from trawl.types import Passages, Reading


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def reading(path: Path) -> Reading:
    media_type = media_type_of(path)
    assert media_type is not None
    return read(path, media_type)


def text_of(found: Reading) -> str:
    (part,) = found.parts
    assert isinstance(part, Passages)
    assert part.start_char == 0
    return part.text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_text_is_decoded_by_its_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    words = "Müonen zerfallen.\r\nNach 2,2 µs.\rEnde 🦑"
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    found = reading(written(tmp_path, "a.txt", mark + words.encode(encoding)))
    assert text_of(found) == "Müonen zerfallen.\nNach 2,2 µs.\nEnde 🦑"
    assert found.title == "Müonen zerfallen."
    assert found.media_type == "text/plain"


def test_markdown_has_passages_by_section(tmp_path: Path) -> None:
    long = "A muon decays to an electron. " * 20
    page = f"# Muons\n\n{long}\n\n## Lifetime\n\n{long}\n\n### *Fit* & error\n\nShort.\n\n- # no\n"
    page += f"\n## Next\n\n{long * 3}"
    found = reading(written(tmp_path, "a.md", page))
    parts = [part for part in found.parts if isinstance(part, Passages)]
    assert [part.section for part in parts] == ["", "Lifetime", "Next"]
    text = "\n\n".join(part.text for part in parts)
    assert [text.index(part.text) for part in parts] == [part.start_char for part in parts]
    assert parts[1].text.endswith("Fit & error\n\nShort.\n\nno")
    page = f"# Title\n\n# A\n\n{long * 2}\n\n## B\n\n{long * 2}"
    found = reading(written(tmp_path, "b.md", page))
    assert [part.section for part in found.parts if isinstance(part, Passages)] == ["A", "A › B"]


def test_a_long_first_line_is_not_a_title(tmp_path: Path) -> None:
    assert reading(written(tmp_path, "the name.txt", "word " * 40)).title == "the name"
    assert reading(written(tmp_path, "b.txt", "\n\n  A \t title \nrest")).title == "A title"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"caf\xe9 au lait", r"not valid UTF-8 at byte 3 \(0xE9\).*iconv"),
        (b"\xff\xfea\x00\x00\xd8", "not valid UTF-16-LE at byte 4"),
        (b"one\0two", "a NUL at character 3"),
        (b" \n\t ", "only white space"),
    ],
)
def test_invalid_text_is_rejected(tmp_path: Path, content: bytes, reason: str) -> None:
    path = written(tmp_path, "a.txt", content)
    assert media_type_of(path) == "text/plain"
    with pytest.raises(ReadError, match=reason):
        read(path, "text/plain")


def test_a_text_over_the_limit_is_rejected_unread(tmp_path: Path) -> None:
    path = written(tmp_path, "huge.txt", "text")
    with path.open("r+b") as stream:
        stream.truncate(10 * 2**30)  # sparse: it takes no room
    with pytest.raises(ReadError, match="10,737,418,240 bytes"):
        read(path, "text/plain")


MARKDOWN = """\
---
title: Muons in the cloud chamber
year: 2021
measured: 2024-05-01
keys: [muon, 7, true]
instrument:
  name: Cloud
  site: {lat: 46.2, roof: true}
empty: null
---
# A *first* heading

Some `code`, a [link](http://example.org), ~~gone~~ and <b>bold</b>.

![A decay &amp; its curve](figures/decay%20curve.png "Decay") and ![r][ref]

* one
* two
  1. deep

| a | b |
|---|---|
| 1 | 2 |

```python
x = 1
```

<div><script>alert(1)</script><p>In a block</p><img src="raw.gif" alt="raw one"></div>

[ref]: <my pic.jpg>
"""


def test_markdown_is_rendered_and_front_matter_parsed(tmp_path: Path) -> None:
    found = reading(written(tmp_path, "a.md", MARKDOWN))
    assert found.media_type == "text/markdown"
    assert found.title == "Muons in the cloud chamber"
    assert found.metadata == {
        "year": 2021,
        "measured": datetime.date(2024, 5, 1),
        "keys": ["muon", "7", "true"],
        "instrument.name": "Cloud",
        "instrument.site.lat": 46.2,
        "instrument.site.roof": True,
    }
    assert text_of(found) == (
        "A first heading\n\n"
        "Some code, a link, gone and bold.\n\n"
        "A decay & its curve and r\n\n"
        "one\ntwo\ndeep\n\n"
        "a | b\n1 | 2\n\n"
        "x = 1\n\n"
        "In a block\nraw one"
    )


def test_markdown_titles_fall_back_to_the_heading_and_the_name(tmp_path: Path) -> None:
    assert reading(written(tmp_path, "a.md", "text\n\nHead `x`\n===\n")).title == "Head x"
    assert reading(written(tmp_path, "my notes.md", "only text")).title == "my notes"


def test_rules_around_text_are_not_front_matter(tmp_path: Path) -> None:
    found = reading(written(tmp_path, "a.md", "---\nwords, no keys\n---\nmore"))
    assert text_of(found) == "words, no keys\n\nmore"
    assert found.metadata == {}


@pytest.mark.parametrize(
    ("front", "reason"),
    [
        ("title: [unclosed", "front matter is not valid YAML at line"),
        ("a: !!python/object/apply:os.system [ls]", "front matter is not valid YAML"),
        ("deep: &d {d: *d}", "nested deeper than 16"),
        ("big: 99999999999999999999", "beyond 64 bits"),
        ("bad: .nan", "not a finite number"),
        ("rows: [[1], [2]]", "'rows' is a list that contains a list"),
        ("? [1, 2]\n: x\ntitle: t", "is not valid YAML|is not a valid name"),
    ],
)
def test_bad_front_matter_is_a_notice(tmp_path: Path, front: str, reason: str) -> None:
    path = written(tmp_path, "a.md", f"---\nfirst: 1\n{front}\n---\nthe text")
    found = read(path, "text/markdown")
    assert "the text" in text_of(found)
    (notice,) = found.notices
    assert re.search(reason, notice)
    # Front matter that cannot be parsed is text; otherwise the other keys are kept.
    assert found.metadata.get("first") == (None if "not valid YAML" in notice else 1)


@pytest.mark.parametrize(
    ("written_as", "value"),
    [
        ("NO", "NO"),
        ("on", "on"),
        ("01234", "01234"),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("2024-02-30", "2024-02-30"),
        ("2024-05-01", datetime.date(2024, 5, 1)),
        ("2024-05-01 10:00:00", datetime.datetime(2024, 5, 1, 10)),
        ("0o17", 15),
        ("-3", -3),
        ("1e3", 1000.0),
        ("TRUE", True),
        ("[[x], {y: 1}]", '[["x"], {"y": 1}]'),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("9" * 5000, "9" * 5000),
        ("-.inf", "-Infinity"),
    ],
)
def test_values_of_front_matter_follow_yaml_1_2(
    tmp_path: Path, written_as: str, value: object
) -> None:
    path = written(tmp_path, "a.md", f"---\nkey: {written_as}\n---\ntext")
    assert read(path, "text/markdown").metadata == {"key": value}


def test_front_matter_with_exponential_aliases_is_bounded(tmp_path: Path) -> None:
    levels = ["a0: &a0 {x: 1, y: 2, z: 3, w: 4}"]
    levels += [
        f"a{n}: &a{n} {{" + ", ".join(f"k{k}: *a{n - 1}" for k in range(9)) + "}"
        for n in range(1, 9)
    ]
    path = written(tmp_path, "a.md", "---\n" + "\n".join(levels) + "\n---\ntext")
    found = read(path, "text/markdown")
    assert len(found.metadata) == 1_000
    assert found.notices == ("more than 1,000 metadata keys; the others are left out",)


def test_front_matter_with_an_enormous_list_is_left_out(tmp_path: Path) -> None:
    levels = ["a0: &a0 [x, y, z]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    path = written(tmp_path, "a.md", "---\n" + "\n".join(levels) + "\n---\ntext")
    found = read(path, "text/markdown")
    assert all(len(str(value)) < 11_000 for value in found.metadata.values())
    assert "too large to keep" in found.notices[-1]


def test_markdown_without_text_or_images_is_rejected(tmp_path: Path) -> None:
    path = written(tmp_path, "a.md", "---\na: 1\n---\n<!-- nothing -->\n")
    with pytest.raises(ReadError, match="no text"):
        read(path, "text/markdown")
    assert read(written(tmp_path, "b.md", "![](x.png)"), "text/markdown").parts == ()


def test_picture_links_resolve_to_files_with_their_captions(tmp_path: Path) -> None:
    links = picture_links(written(tmp_path, "a.md", MARKDOWN))
    assert [(link.path, link.caption, link.title) for link in links] == [
        (tmp_path / "figures" / "decay curve.png", "A decay & its curve", "Decay"),
        (tmp_path / "my pic.jpg", "r", ""),
        (tmp_path / "raw.gif", "raw one", ""),
    ]
    assert {link.document_title for link in links} == {"Muons in the cloud chamber"}


def test_remote_and_invalid_links_are_left_out(tmp_path: Path) -> None:
    source = (
        "![a](https://example.org/a.png) ![b](//example.org/b.png) ![c](data:image/gif;base64,R0)"
        " ![d](#part) ![e](nul%00.png) ![f](../up.png?raw=true#x) ![`g` *h*](<a 'b' 🦑.png>)"
    )
    links = picture_links(tmp_path / "deep" / "a.md", source)
    assert [(link.path, link.caption) for link in links] == [
        (tmp_path / "up.png", "f"),
        (tmp_path / "deep" / "a 'b' 🦑.png", "g h"),
    ]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("Hello<br>World", "Hello\nWorld"),
        ("Hello<br/>\nWorld", "Hello\nWorld"),
        ("|a|b|\n|-|-|\n|apples<br>pears|ripe|", "a | b\napples pears | ripe"),
        ("H<sub>2</sub>O and <b>bo</b>ld", "H2O and bold"),
        ("<p>one</p>two<details><p>three</p>four", "one\ntwo\n\nthree\nfour"),
        ("<ul><li>one<li>two</ul>", "one\ntwo"),
        ("<table><tr><td>one</td><td>two</td></tr></table>", "one  two"),
        ("<div>a &lt; b &amp;&amp; c<!-- hidden > -->d</div>", "a < b && cd"),
        ("<div><script>1 < 2</script>shown<style>p {}</style></div>", "shown"),
        ("<div title='a > b'>shown</div>", "shown"),
        ("<div><script>never closed\n\nrest", "never closed\n\nrest"),
        ("<!-- never closed\n\nrest", "<!-- never closed\n\nrest"),
        ('<div class="never closed\n\nrest', '<div class="never closed\n\nrest'),
        ("<div>1 < 2 and 3 <3</div>", "1 < 2 and 3 <3"),
    ],
)
def test_html_in_markdown_loses_and_joins_no_words(tmp_path: Path, source: str, text: str) -> None:
    assert text_of(reading(written(tmp_path, "a.md", source))) == text


@pytest.mark.parametrize("depth", [9, 10, 30, 60, 200])
def test_nested_lists_and_quotes_are_read_at_any_depth(tmp_path: Path, depth: int) -> None:
    nested = "".join(f"{'  ' * level}- item{level}\n" for level in range(depth)) + "\nafter"
    words = text_of(reading(written(tmp_path, "list.md", nested))).split()
    assert [word for word in words if word != "-"] == [
        *(f"item{level}" for level in range(depth)),
        "after",
    ]
    quote = written(tmp_path, "quote.md", ">" * depth + " walrus\n\nafter")
    assert text_of(reading(quote)).endswith("walrus\n\nafter")


REPEATED = [
    *("<!-- ", "x <!-- ", "<![CDATA[", "<? ", "x <!A ", "<script>\n", "<a ", 'x <a b="'),
    *("<div>\n", '<a ">" ', '<div>\n<a ">" ', "[", "![", "[a](", "*a_ ", "` `` ", "&", "> a\n"),
    *("- ", "|a", "|a|\n|-|\n", "[a]: b\n", "[a]: <", "~~a", "\\", "```\n", "<!-->", "a    "),
]


@pytest.mark.parametrize("repeated", REPEATED)
def test_repeated_markup_takes_linear_time(tmp_path: Path, repeated: str) -> None:
    source = repeated * (100_000 // len(repeated))
    started = time.process_time()
    with contextlib.suppress(ReadError):  # some contain no text
        read(written(tmp_path, "a.md", source), "text/markdown")
    assert time.process_time() - started < 10  # quadratic time takes minutes


def test_a_long_run_of_spaces_takes_linear_time(tmp_path: Path) -> None:
    started = time.process_time()
    read(written(tmp_path, "a.md", "a" + " " * 1_000_000 + "b"), "text/markdown")
    assert time.process_time() - started < 10
