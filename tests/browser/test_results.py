"""Results as they are seen: pages, waveforms, pictures in full, editing and removing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from browser.conftest import KEYS, Watch
from browser.test_words import ask
from trawl.library import Library


def loaded(page: Page, selector: str) -> None:
    """Wait until a picture has its pixels."""
    page.locator(selector).first.scroll_into_view_if_needed()
    page.wait_for_function(
        "(selector) => document.querySelector(selector)?.naturalWidth > 0", arg=selector
    )


def test_a_passage_of_a_pdf_shows_its_page_and_opens_it(page: Page, site: str) -> None:
    page.goto(site)
    ask(page, "growth of yeast in sugar")
    hit = page.locator(".hit.paged").first
    expect(hit.locator(".passages mark").first).to_be_visible()
    loaded(page, ".hit.paged .side img")
    hit.locator(".open").click()
    loaded(page, "#detail .sheet")
    sheet = page.locator("#detail .sheet")
    first = sheet.get_attribute("src") or ""
    shown = re.search(r"page=(\d+)$", first)
    assert shown is not None
    turn = "Next page" if shown.group(1) == "1" else "Previous page"
    page.get_by_role("button", name=turn).click()
    expect(sheet).not_to_have_attribute("src", first)
    loaded(page, "#detail .sheet")
    page.get_by_role("button", name=re.compile("Enlarge: Page")).click()
    light = page.get_by_role("dialog", name=re.compile("^Page"))
    expect(light.get_by_role("status")).to_have_text("100 %")
    page.keyboard.press("+")
    expect(light.get_by_role("status")).to_have_text("140 %")
    page.mouse.move(600, 400)
    page.mouse.wheel(0, -100)
    expect(light.get_by_role("status")).to_have_text("196 %")
    page.keyboard.press("ArrowRight")  # moves the picture, not the results
    page.keyboard.press("Escape")
    expect(light).to_have_count(0)
    expect(page.locator("#detail[open]")).to_be_visible()


def test_a_figure_is_shown_larger_than_its_thumbnail(page: Page, site: str) -> None:
    page.goto(site + "/?q=growth+curve+of+yeast&m=image&where=media_type+%3D+'application/pdf'")
    page.locator(".hit .open").first.click()
    loaded(page, "#detail .large")
    assert page.locator("#detail .large").evaluate("image => image.naturalWidth") > 500
    expect(page.get_by_role("heading", name="Passages that cite it")).to_be_visible()


def test_a_sound_has_a_waveform_and_plays_alone(page: Page, site: str) -> None:
    page.goto(site + "/?q=beeps&m=audio")
    hits = page.locator(".hit.audio")
    expect(hits.nth(1)).to_be_visible()
    page.wait_for_function(
        """() => { const canvas = document.querySelector(".wave canvas");
        const pen = canvas.getContext("2d").getImageData(0, 0, canvas.width, 6).data;
        return pen.some((one) => one); }"""
    )  # some bar is nearly as high as the canvas
    hits.nth(0).get_by_role("button", name=re.compile("^Play")).click()
    expect(hits.nth(0).get_by_role("button", name=re.compile("^Pause"))).to_be_visible()
    hits.nth(1).get_by_role("button", name=re.compile("^Play")).click()
    expect(hits.nth(1).get_by_role("button", name=re.compile("^Pause"))).to_be_visible()
    expect(hits.nth(0).get_by_role("button", name=re.compile("^Play"))).to_be_visible()
    slider = hits.nth(1).get_by_role("slider")
    slider.focus()
    page.keyboard.press("Home")
    expect(slider).to_have_attribute("aria-valuetext", re.compile("^0:0"))


def test_a_line_says_why_a_result_has_its_place(page: Page, site: str) -> None:
    page.goto(site)
    ask(page, "muon decay")
    line = page.locator(".hit .because summary").first
    expect(line).to_contain_text(re.compile("this library's background|matches “"))
    line.click()
    expect(page.locator(".because[open] .why").first).to_contain_text("1st, with")


def test_a_document_is_edited_and_removed(
    page: Page, app_of: Callable[..., str], own_library: Path, watch: Watch
) -> None:
    watch.expect("status of 422")
    page.goto(app_of(own_library))
    ask(page, "sourdough")
    page.locator(".hit .open").first.click()
    page.get_by_role("button", name="Edit title and metadata").click()
    form = page.get_by_role("form", name="Edit the document")
    form.get_by_role("button", name="Add a key").click()
    form.get_by_label("Key", exact=True).fill("modality")
    form.get_by_label("Value", exact=True).or_(form.get_by_label("modality")).fill("smell")
    form.get_by_role("button", name="Save").click()
    expect(form.get_by_role("alert")).to_contain_text("modality")  # refused, and nothing is lost
    form.get_by_label("Key", exact=True).fill("rating")
    form.get_by_label("rating").fill("5")
    form.get_by_label("title").fill("Bread <b>of</b> the house")
    form.get_by_role("button", name="Save").click()
    expect(page.locator("#detail-title")).to_have_text("Bread <b>of</b> the house")
    expect(page.locator("#detail aside")).to_contain_text("rating")
    page.get_by_role("button", name="Remove from the library").click()
    page.get_by_role("button", name="Keep").click()
    page.get_by_role("button", name="Remove from the library").click()
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.locator("#detail")).to_have_count(0)
    expect(page.get_by_text("Bread <b>of</b> the house")).to_have_count(0)


def test_only_a_key_that_may_write_sees_how_to_change(
    new_page: Callable[..., Page], app_of: Callable[..., str], own_library: Path, watch: Watch
) -> None:
    watch.expect("status of 401")
    site = app_of(own_library, api_keys=KEYS)
    for key, number in (("read-only", 0), ("may-write", 1)):
        page = new_page()
        page.goto(f"{site}/?q=muon")
        page.get_by_label("API key").fill(key)
        page.keyboard.press("Enter")
        page.locator(".hit .open").first.click()
        expect(page.get_by_role("button", name="More like this").last).to_be_visible()
        edit = page.get_by_role("button", name="Edit title and metadata")
        expect(edit).to_have_count(number)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a library of 300 pictures of many shapes."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "files").mkdir()
    random = np.random.default_rng(3)
    for number in range(300):
        size = (int(random.integers(60, 200)), int(random.integers(60, 200)))
        small = Image.fromarray(random.integers(0, 255, (4, 4, 3), np.uint8))
        small.resize(size).save(folder / "files" / f"tile {number}.png")
    with Library(folder / "library", create=True) as library:
        library.add(folder / "files")
    return folder / "library"


def test_many_pictures_load_while_scrolling_without_a_shift(
    page: Page, app_of: Callable[..., str], pictures: Path, watch: Watch
) -> None:
    watch.expect(
        "status of 503"
    )  # a slow machine refuses some thumbnails, which are asked for again
    site = app_of(pictures)
    page.add_init_script(
        """window.shifts = [];
        new PerformanceObserver((list) => { for (const one of list.getEntries())
          if (!one.hadRecentInput) shifts.push(one.value); })
          .observe({ type: "layout-shift", buffered: true });"""
    )
    page.goto(f"{site}/?q=tile&m=image&all=1")
    expect(page.locator(".tile").nth(20)).to_be_visible()
    page.evaluate("window.shifts.length = 0")
    for _ in range(400):
        page.mouse.move(600, 500)
        page.mouse.wheel(0, 900)
        page.wait_for_timeout(50)
        if page.locator(".tile").count() == 300:
            break
    expect(page.locator(".tile")).to_have_count(300)
    assert sum(page.evaluate("window.shifts")) == 0
