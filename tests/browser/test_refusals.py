"""What a person sees when the server refuses, is busy, or is gone."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from browser.conftest import KEYS, Serve, Watch
from served import serving, wait_until_ready
from trawl.library import Library


def give_key(page: Page, key: str) -> None:
    page.get_by_label("API key").fill(key)
    page.keyboard.press("Enter")


def test_key_is_asked_for_and_kept_for_the_session(
    page: Page, library: Path, app_of: Serve, watch: Watch
) -> None:
    watch.expect("status of 401")
    page.goto(f"{app_of(library, api_keys=KEYS)}/?q=muon")
    expect(page.get_by_label("API key")).to_be_focused()
    give_key(page, "wrong")
    expect(page.get_by_role("alert").filter(has_text="does not accept this key")).to_be_visible()
    give_key(page, "read-only")
    results = page.get_by_role("main").get_by_role("article")
    expect(results.first).to_be_visible()
    # Pictures are fetched with the key too.
    picture = page.get_by_role("main").locator("img").first
    expect(picture).not_to_have_js_property("naturalWidth", 0)
    page.reload()
    expect(results.first).to_be_visible()
    assert page.evaluate("localStorage.length") == 0
    assert "read-only" not in page.url


def test_rate_limit_counts_down_and_goes_on(
    page: Page, library: Path, app_of: Serve, watch: Watch
) -> None:
    watch.expect("status of (401|429)")
    site = app_of(library, api_keys=KEYS, rate_limit="24/8 seconds")
    page.goto(site)
    give_key(page, "read-only")
    expect(page.get_by_role("status").first).to_contain_text("document")
    # Another tab of the same key uses the limit up.
    headers = {"Authorization": "Bearer read-only"}
    while page.request.get(f"{site}/v1/stats", headers=headers).status != 429:
        pass
    page.get_by_role("combobox", name="Question").fill("muon")
    page.keyboard.press("Enter")
    refused = page.get_by_role("main").get_by_text("Too many questions")
    expect(refused).to_be_visible()
    expect(page.get_by_role("main").get_by_text(re.compile(r"again in \d+ s"))).to_be_visible()
    expect(page.get_by_role("main").get_by_role("article").first).to_be_visible()


def test_page_goes_on_once_the_server_is_back(page: Page, library: Path, watch: Watch) -> None:
    watch.expect("ERR_(CONNECTION_|EMPTY_RESPONSE|CONTENT_LENGTH_MISMATCH|SOCKET_NOT_CONNECTED)")
    with serving(library) as (_, address):
        wait_until_ready(address)
        page.goto(f"{address}/?q=muon")
        expect(page.get_by_role("main").get_by_role("article").first).to_be_visible()
    page.get_by_role("combobox", name="Question").fill("bread")
    page.keyboard.press("Enter")
    expect(page.get_by_role("main").get_by_text("The server does not answer")).to_be_visible()
    with serving(library, "--port", address.rpartition(":")[2]):
        wait_until_ready(address)
        expect(page.get_by_role("main").get_by_text("Sourdough").first).to_be_visible()


def test_empty_library_says_how_to_fill_it(page: Page, tmp_path: Path, app_of: Serve) -> None:
    Library(tmp_path / "empty", create=True).close()
    page.goto(app_of(tmp_path / "empty"))
    expect(
        page.get_by_role("main").get_by_text(re.compile("library is empty", re.I))
    ).to_be_visible()
    expect(page.get_by_role("main").get_by_text("trawl add FOLDER")).to_be_visible()


def test_without_javascript_the_page_says_so(new_page: Callable[..., Page], site: str) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(site)
    # Playwright's search for texts leaves `noscript` out.
    assert "needs JavaScript" in page.locator("body").inner_text()


def test_several_libraries_offer_no_adding_and_no_map(
    page: Page, library: Path, tmp_path: Path, app_of: Serve, watch: Watch
) -> None:
    watch.expect("status of 404")
    Library(tmp_path / "empty", create=True).close()
    site = app_of(library, tmp_path / "empty")
    page.goto(site)
    views = page.get_by_role("navigation", name="Views")
    expect(page.get_by_role("main").get_by_role("article").first).to_be_visible()
    expect(page.get_by_role("status").first).to_contain_text("document")
    expect(views.get_by_role("link")).to_have_text(["Search", "Library"])
    add = page.get_by_role("button", name="Add files")
    expect(add).to_have_count(0)
    views.get_by_role("link", name="Library").click()
    about = page.get_by_role("region", name="About this library")
    expect(about).to_contain_text("Documents")
    expect(add).to_have_count(0)
    page.evaluate(
        """() => {
          const transfer = new DataTransfer();
          transfer.items.add(new File(["A note."], "note.txt", { type: "text/plain" }));
          document.body.dispatchEvent(
            new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
        }"""
    )
    expect(page.get_by_role("status").first).to_contain_text(
        "note.txt: a question takes pictures and sounds."
    )
    page.goto(f"{site}/?view=map")
    expect(page.get_by_role("main")).to_contain_text("Serve one of them alone to see its map.")
