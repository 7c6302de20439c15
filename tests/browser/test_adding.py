"""Adding files on the page, and the view of the library."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect

from browser.conftest import KEYS, Watch


def files(folder: Path) -> list[Path]:
    """Write a text, a picture, a broken picture, and a file of a type that is not read."""
    (folder / "kiln.txt").write_text("The kiln turned the glaze blue.", "utf-8")
    Image.new("RGB", (80, 60), (20, 160, 60)).save(folder / "green.png")
    (folder / "broken.png").write_bytes(b"no picture")
    (folder / "table.parquet").write_bytes(b"PAR1")
    return sorted(folder.iterdir())


def test_files_are_added_and_failures_have_reasons(
    page: Page, own_library: Path, tmp_path: Path, app_of: Callable[..., str]
) -> None:
    (tmp_path / "new").mkdir()
    page.goto(f"{app_of(own_library)}/?view=library")
    page.locator("input[data-add]").first.set_input_files(files(tmp_path / "new"))
    adding = page.get_by_role("region", name="Files that are being added")
    expect(adding).to_contain_text("2 files in the library, 2 not added", timeout=60_000)
    entries = adding.get_by_role("listitem")
    expect(entries.filter(has_text="broken.png")).to_contain_text("plain text")
    expect(entries.filter(has_text="table.parquet")).to_contain_text("not read")
    page.get_by_role("navigation", name="Lists").get_by_role("link", name="Not read").click()
    expect(page.get_by_role("main")).to_contain_text("broken.png")
    adding.get_by_role("link", name="kiln.txt").click()
    expect(page.get_by_role("dialog")).to_contain_text("glaze")
    page.keyboard.press("Escape")
    page.get_by_role("combobox", name="Question").fill("blue glaze")
    page.keyboard.press("Enter")
    expect(page.get_by_role("main").get_by_role("article").first).to_contain_text("kiln.txt")
    page.goto("about:blank")  # before the server ends


def test_dropped_text_is_added(page: Page, own_library: Path, app_of: Callable[..., str]) -> None:
    page.goto(app_of(own_library))
    page.evaluate(
        """() => {
          const transfer = new DataTransfer();
          const file = new File(["A quagga is a zebra."], "quagga.txt", { type: "text/plain" });
          transfer.items.add(file);
          document.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
        }"""
    )
    adding = page.get_by_role("region", name="Files that are being added")
    expect(adding).to_contain_text("1 file in the library", timeout=60_000)
    expect(page.get_by_role("main").get_by_role("article").first).to_contain_text("quagga.txt")
    page.goto("about:blank")  # before the server ends


def test_a_job_is_followed_again_after_a_lost_connection(
    page: Page, own_library: Path, app_of: Callable[..., str], watch: Watch
) -> None:
    watch.expect("ERR_FAILED")
    page.goto(app_of(own_library))
    page.route("**/v1/jobs/*/events", lambda route: route.abort(), times=1)
    file = {"name": "okapi.txt", "mimeType": "text/plain", "buffer": b"An okapi is shy."}
    page.locator("input[data-add]").first.set_input_files([file])
    adding = page.get_by_role("region", name="Files that are being added")
    expect(adding).to_contain_text("read when the server is back", timeout=60_000)
    expect(adding).to_contain_text("1 file in the library", timeout=60_000)
    expect(adding).not_to_contain_text("the server is back")
    page.goto("about:blank")  # before the server ends


def test_key_that_may_not_write_is_said(
    page: Page, own_library: Path, tmp_path: Path, app_of: Callable[..., str], watch: Watch
) -> None:
    watch.expect("status of 40[13]")
    (tmp_path / "new").mkdir()
    page.goto(app_of(own_library, api_keys=KEYS))
    page.get_by_label("API key").fill("read-only")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("main").get_by_role("article").first).to_be_visible()
    page.get_by_role("link", name="Library").click()
    page.locator("input[data-add]").first.set_input_files(files(tmp_path / "new")[:1])
    adding = page.get_by_role("region", name="Files that are being added")
    expect(adding).to_contain_text("may not add files")
    page.goto("about:blank")  # before the server ends


def test_library_has_a_timeline_values_and_what_was_left_out(page: Page, site: str) -> None:
    page.goto(f"{site}/?view=library")
    about = page.get_by_role("region", name="About this library")
    expect(about).to_contain_text("mini, 256 dimensions")
    bars = page.get_by_role("region", name="Documents by year").get_by_role("button")
    enabled = bars.and_(page.locator(":enabled")).last
    number = re.search(r"(\d+) documents?", enabled.get_attribute("aria-label") or "")
    assert number is not None
    enabled.click()
    expect(page).to_have_url(re.compile("where=year"))
    expect(page.get_by_role("main")).to_contain_text(f"{number[1]} document")
    page.get_by_role("navigation", name="Lists").get_by_role("link", name="Not read").click()
    expect(page.get_by_role("main")).to_contain_text("broken.pdf")
    page.get_by_role("link", name="Skipped").click()
    expect(page.get_by_role("main")).to_contain_text("program.xyz")
    reasons = page.request.get(f"{site}/v1/skipped").body()
    assert json.loads(reasons)["total"] >= 1
