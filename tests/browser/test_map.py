"""The map of the library: points, results on it, and a region that becomes a filter."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

SLOW_MS = 60_000
"""The map is computed by a process of low priority."""


def test_region_of_the_map_becomes_a_filter(
    page: Page, own_library: Path, app_of: Callable[..., str]
) -> None:
    address = app_of(own_library)
    page.goto(f"{address}/?view=map&q=muon")
    pins = page.get_by_role("link", name=re.compile(r"^Result \d+:"))
    expect(pins.first).to_be_visible(timeout=SLOW_MS)
    box = page.get_by_role("img", name=re.compile("passages")).bounding_box()
    assert box is not None
    page.get_by_role("button", name="Draw a region").click()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    for across, down in ((0.98, 0.02), (0.98, 0.98), (0.02, 0.98)):
        page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"], steps=4)
    page.mouse.up()
    expect(page.get_by_text(re.compile(r"\d+ parts? in this region"))).to_be_visible()
    page.get_by_role("button", name="Search in this region").click()
    expect(page.get_by_role("list", name="Filters")).to_contain_text("region of the map")
    expect(page.get_by_role("main").get_by_role("article").first).to_be_visible()
    page.reload()
    expect(page.get_by_role("list", name="Filters")).to_contain_text("region of the map")
    page.get_by_role("link", name="Map").click()
    pins.first.focus()
    expect(page.get_by_role("complementary")).to_contain_text(re.compile("muon", re.I))
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.goto("about:blank")  # before the server ends
