"""Names, texts and metadata of documents are shown, and never run."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from browser.conftest import Watch


def test_hostile_documents_are_text(page: Page, site: str) -> None:
    page.goto(f"{site}/?q=quokka")
    results = page.get_by_role("main").get_by_role("article")
    expect(results.first).to_be_visible()
    shown = page.get_by_role("main")
    for part in ("<img src=x onerror=", "<script>", "javascript:alert(1).txt"):
        expect(shown.get_by_text(part).first).to_be_visible()
    assert page.locator("main script, main iframe, main [onerror], main [onload]").count() == 0
    assert page.locator("a[href^='javascript:']").count() == 0


def test_details_of_hostile_documents_are_text(page: Page, site: str) -> None:
    found = page.request.get(f"{site}/v1/documents?limit=100").json()["documents"]
    hostile = [one for one in found if re.search("quokka", one["title"] + one["source"], re.I)]
    assert len(hostile) == 7
    for one in hostile:
        page.goto(f"{site}/?show={one['id']}")
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_text(re.compile("quokka", re.I)).first).to_be_visible()
        assert dialog.locator("script, iframe, [onerror], a[href^='javascript:']").count() == 0


def test_hostile_question_in_an_address_is_text(page: Page, site: str, watch: Watch) -> None:
    watch.expect("status of (404|422)")
    page.goto(f"{site}/?q=%3Cimg+src=x+onerror=alert(1)%3E&m=%3Cscript%3E&sort=__proto__")
    expect(page.get_by_role("combobox", name="Question")).to_have_value(
        "<img src=x onerror=alert(1)>"
    )
    page.goto(f"{site}/?show=%3Cscript%3Ealert(1)%3C/script%3E")
    expect(page.get_by_role("dialog")).to_be_visible()


def test_opened_files_run_nothing(page: Page, site: str, watch: Watch) -> None:
    # The policy of a file blocks its scripts, which Chromium reports.
    watch.expect("Content Security Policy|policy:|sandboxed|Refused to|status of 404")
    found = page.request.get(f"{site}/v1/documents?limit=100").json()["documents"]
    hostile = [one for one in found if one["source"].endswith((".html", ".svg"))]
    assert len(hostile) == 2
    for one in hostile:
        page.goto(f"{site}/v1/chunks/{one['id']}:0/media")
        assert page.evaluate("document.documentElement.dataset.hacked") in (None, "")
