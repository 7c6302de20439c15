"""Asking with pictures, sounds and a recording; weights; filters, ranges, order, suggestions."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from browser.collection import EXAMPLES
from browser.conftest import Watch

PICTURE = EXAMPLES / "physics" / "figures" / "z-boson-peak.png"
SOUND = EXAMPLES / "sounds" / "bird-song.ogg"
# Chromium makes no drop or paste of its own, so the page gets the events that it would.
GIVE = """([name, type, data, event, target]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  const at = target ? document.querySelector(target) : document;
  const options = { bubbles: true, cancelable: true };
  at.dispatchEvent(event === "paste"
    ? new ClipboardEvent("paste", { ...options, clipboardData: transfer })
    : new DragEvent(event, { ...options, dataTransfer: transfer }));
}"""


def give(page: Page, file: Path, kind: str, event: str, target: str = "") -> None:
    """Paste, drag or drop a file."""
    data = base64.b64encode(file.read_bytes()).decode()
    page.evaluate(GIVE, [file.name, kind, data, event, target])


def first(page: Page) -> Locator:
    return page.get_by_role("main").get_by_role("article").first


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_picture_finds_itself(page: Page, site: str, event: str) -> None:
    page.goto(site)
    give(page, PICTURE, "image/png", event)
    expect(first(page)).to_contain_text(PICTURE.name)
    expect(page.get_by_role("listitem").filter(has_text=PICTURE.name)).to_be_visible()


def test_drag_offers_to_search_or_to_add(page: Page, site: str) -> None:
    page.goto(site)
    give(page, SOUND, "audio/ogg", "dragenter")
    expect(page.get_by_text("Search by it")).to_be_visible()
    expect(page.get_by_text("Add to the library")).to_be_visible()
    give(page, SOUND, "audio/ogg", "drop", "[data-drop=search]")
    expect(page.get_by_text("Search by it")).to_have_count(0)
    expect(first(page)).to_contain_text(SOUND.name)


def test_recording_is_a_question(page: Page, site: str) -> None:
    page.goto(site)
    page.get_by_role("button", name="Record a sound").click()
    expect(page.get_by_role("timer")).to_have_text("1 s")
    page.get_by_role("button", name="Stop recording").click()
    expect(page.get_by_role("listitem").filter(has_text="recording.wav")).to_be_visible()
    expect(page.get_by_role("status").first).to_contain_text(re.compile(r"\d+ results?"))
    # The file is not in the address: a new page does not have it.
    page.reload()
    expect(page.get_by_role("main")).to_contain_text("is gone")


def test_weight_and_minus_of_a_part(page: Page, site: str) -> None:
    page.goto(f"{site}/?q=muon")
    page.get_by_role("button", name="More like this").first.click()
    chip = page.get_by_role("list", name="Pictures, sounds").get_by_role("listitem")
    liked = re.search(r"like=([^&]+)", page.url)
    assert liked is not None
    expect(first(page)).not_to_have_attribute("data-id", liked[1])
    page.get_by_label(re.compile("^Weight of")).select_option("2")
    expect(page).to_have_url(re.compile(r"like=[^-&]+\*2"))
    page.get_by_role("combobox", name="Question").fill("physics")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("q=physics"))
    chip.get_by_role("button", name=re.compile("^like")).click()
    expect(page).to_have_url(re.compile(r"like=-[^&]+\*2"))
    expect(chip.get_by_role("button", name=re.compile("^unlike"))).to_have_attribute(
        "aria-pressed", "true"
    )
    expect(first(page)).to_be_visible()
    page.get_by_role("button", name=re.compile("^Remove")).click()
    expect(page).to_have_url(re.compile(r"\?q=physics$"))


def test_values_ranges_and_kinds_narrow(page: Page, site: str) -> None:
    page.goto(f"{site}/?q=muon")
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("button", name=re.compile(r"^physics \d+")).click()
    expect(page).to_have_url(re.compile("where=topic"))
    chips = page.get_by_role("list", name="Filters")
    expect(chips).to_contain_text("topic: physics")
    page.get_by_label("year from").fill("2011")
    page.get_by_label("year from").press("Enter")
    expect(chips).to_contain_text("year from 2011")
    found = page.get_by_role("main").get_by_role("article")
    expect(found.first).to_be_visible()
    page.get_by_role("link", name="Pictures").click()
    expect(page.get_by_role("link", name="Pictures")).to_have_attribute("aria-current", "page")
    page.get_by_role("button", name="Remove the filter topic: physics").click()
    expect(chips).not_to_contain_text("topic: physics")
    page.reload()
    expect(chips).to_contain_text("year from 2011")


def test_order_by_a_column(page: Page, site: str) -> None:
    page.goto(f"{site}/?q=topic:physics")
    page.get_by_label("Sort by").select_option("-year")
    expect(page).to_have_url(re.compile("sort=-year"))
    expect(first(page)).to_be_visible()
    page.get_by_label("Sort by").select_option("year")
    expect(page).to_have_url(re.compile("sort=year"))


def test_keys_and_values_are_suggested(page: Page, site: str) -> None:
    page.goto(site)
    question = page.get_by_role("combobox", name="Question")
    question.press_sequentially("muon top")
    options = page.get_by_role("listbox", name="Suggestions").get_by_role("option")
    expect(options.first).to_contain_text("topic:")
    question.press("ArrowDown")
    question.press("Enter")
    expect(question).to_have_value("muon topic:")
    question.press_sequentially("ph")
    expect(options.first).to_contain_text("physics")
    options.first.click()
    expect(question).to_have_value("muon topic:physics ")
    question.press("Enter")
    expect(first(page)).to_be_visible()


def test_file_that_cannot_be_read_is_refused_in_words(
    page: Page, site: str, tmp_path: Path, watch: Watch
) -> None:
    watch.expect("status of 415")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    page.goto(site)
    give(page, broken, "image/png", "drop")
    expect(page.get_by_role("main")).to_contain_text("This file cannot be read")
