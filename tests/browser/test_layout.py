"""Layout: nothing moves while 500 pictures load, and a long list scrolls without long tasks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from served import serving, wait_until_ready
from trawl.library import Library

COUNT = 500
WATCH_SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    if (entry.hadRecentInput) continue;
    const nodes = entry.sources.map((one) => one.node?.className || one.node?.nodeName);
    window.shifts.push([entry.value, ...nodes]);
  }
}).observe({ type: "layout-shift", buffered: true });
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a library of 500 small pictures of odd sizes, and return its address."""
    folder: Path = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(5)
    (folder / "files").mkdir()
    for number in range(COUNT):
        size = tuple(int(one) for one in random.integers(40, 160, 2))
        colour = tuple(int(one) for one in random.integers(0, 255, 3))
        Image.new("RGB", size, colour).save(folder / "files" / f"tile {number}.png")
    with Library(folder / "library", create=True) as library:
        library.add(folder / "files")
    with serving(folder / "library") as (_, address):
        wait_until_ready(address)
        yield address


def test_nothing_moves_while_500_pictures_are_shown(page: Page, pictures: str) -> None:
    page.add_init_script(WATCH_SHIFTS)
    page.goto(f"{pictures}/?q=modality:image&m=image&all=1")
    tiles = page.get_by_role("main").get_by_role("article")
    expect(tiles.first).to_be_visible()
    for _ in range(600):
        shown = tiles.count()
        if shown >= COUNT:
            break
        page.mouse.wheel(0, 4000)
        page.wait_for_timeout(50)
    assert tiles.count() == COUNT
    page.evaluate("window.scrollTo(0, 0)")
    expect(tiles.first.locator("img")).to_be_visible()
    assert page.evaluate("window.shifts") == []
