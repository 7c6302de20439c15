"""The page's files: what the first load fetches, and that its modules are where they say."""

from __future__ import annotations

import re
from pathlib import Path

WEB = Path(__file__).parents[2] / "src" / "trawl" / "web"
DOCS = Path(__file__).parents[2] / "docs" / "page.md"
_STATIC = re.compile(
    r'^(?:import|export)\b[^"\']*?\bfrom\s*["\'](\.[^"\']+)["\']|^import\{[^"]*"(\.[^"]+)"', re.M
)
_DYNAMIC = re.compile(r'import\("(\.[^"]+)"\)')


def imported(file: Path, pattern: re.Pattern[str]) -> list[Path]:
    """Return the files that a module imports."""
    text = file.read_text("utf-8")
    return [
        (file.parent / next(group for group in found.groups() if group)).resolve()
        for found in pattern.finditer(text)
    ]


def first_load() -> dict[str, int]:
    """Return the bytes of each file that the page fetches before it shows anything."""
    page = (WEB / "index.html").read_text("utf-8")
    found = {
        WEB / "index.html",
        *(WEB / name for name in re.findall(r'\{\{base\}\}/([\w./]+)"', page)),
    }
    waiting = list(found)
    while waiting:
        file = waiting.pop()
        if file.suffix == ".js":
            new = set(imported(file, _STATIC)) - found
            found |= new
            waiting += new
    return {str(file.relative_to(WEB)): file.stat().st_size for file in sorted(found)}


def test_the_first_load_is_under_200_kb() -> None:
    sizes = first_load()
    assert "vendor/core.js" in sizes
    assert "map.js" not in sizes, "views are loaded when they are opened"
    assert sum(sizes.values()) < 200_000


def test_every_imported_module_exists_and_every_module_is_imported() -> None:
    modules = set(WEB.glob("*.js"))
    wanted = {WEB / "app.js", WEB / "tokens.js"}
    for file in modules:
        wanted |= {*imported(file, _STATIC), *imported(file, _DYNAMIC)}
    assert not [file for file in wanted if not file.is_file()]
    assert not modules - wanted


def test_the_documentation_has_the_size_of_each_file() -> None:
    rows = re.findall(r"^\| `([\w./-]+)` \| ([\d.]+) \|", DOCS.read_text("utf-8"), re.M)
    written = {name: float(size) * 1000 for name, size in rows}
    sizes = first_load()
    assert written.keys() == sizes.keys()
    off = {
        name: sizes[name]
        for name in sizes
        if abs(written[name] - sizes[name]) > 300 + sizes[name] / 4
    }
    assert not off, "write these sizes into docs/page.md"


def test_nothing_comes_from_another_host_or_is_written_as_markup() -> None:
    for file in WEB.rglob("*.*"):
        if file.parent.name == "vendor" or file.suffix == ".svg":
            continue
        text = file.read_text("utf-8")
        assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text), file.name
        assert "innerHTML" not in text, file.name
        assert "dangerouslySetInnerHTML" not in text, file.name
        assert not re.search(
            r"<(script(?! type=\"module\" src)|style)|\sstyle=\"|\son\w+=\"", text
        ), file.name
