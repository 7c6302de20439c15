"""What stands where: the page after files are added, and pictures on a phone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from browser.conftest import Watch
from trawl.library import Library


def test_first_page_shows_files_that_are_added_to_an_empty_library(
    page: Page, tmp_path: Path, app_of: Callable[..., str]
) -> None:
    Library(tmp_path / "empty", create=True).close()
    page.goto(app_of(tmp_path / "empty"))
    main = page.get_by_role("main")
    expect(main.get_by_text("This library is empty")).to_be_visible()
    note = {"name": "note.txt", "mimeType": "text/plain", "buffer": b"A kingfisher by the river."}
    main.locator("input[type=file]").set_input_files([note])
    expect(main.get_by_role("article").filter(has_text="note")).to_be_visible()
    expect(main.get_by_text("This library is empty")).to_have_count(0)


def test_two_pictures_stand_in_a_row_on_a_phone(new_page: Callable[..., Page], site: str) -> None:
    page = new_page(viewport={"width": 390, "height": 844})
    page.goto(f"{site}/?q=picture&m=image&all=1")
    tiles = page.locator("#results .tiles .tile")
    expect(tiles.nth(1)).to_be_visible()
    first, second = (tiles.nth(at).bounding_box() for at in range(2))
    assert first is not None
    assert second is not None
    assert first["y"] == second["y"]
    assert second["x"] + second["width"] <= 390


def test_addresses_that_name_nothing_are_explained(page: Page, site: str, watch: Watch) -> None:
    watch.expect("status of 422")
    page.goto(f"{site}/?view=attic")
    expect(page.get_by_role("main")).to_contain_text("There is no such view")
    page.goto(f"{site}/?q=muon&show=nothing")
    expect(page.get_by_role("dialog")).to_contain_text("There is no document nothing")
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.goto(f"{site}/?where=attic+%3E+3")
    expect(page.get_by_role("main")).to_contain_text('No column "attic"')
