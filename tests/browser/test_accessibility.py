"""Every view in both themes, checked by axe: no finding of WCAG's rules."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

VIEWS = ("/", "/?q=muon", "/?q=muon&m=image", "/?view=library", "/?view=library&list=failed")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_view_has_a_finding(new_page: Callable[..., Page], site: str, theme: str) -> None:
    page = new_page(color_scheme=theme)
    found = []
    for view in VIEWS:
        page.goto(site + view)
        expect(page.get_by_role("main").locator("article, dl, .state").first).to_be_visible()
        found += [(view, *one) for one in findings(page)]
    page.goto(f"{site}/?q=muon")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("#facets section").first).to_be_visible()
    found += [("filter", *one) for one in findings(page)]
    page.locator(".hit .open").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("More like this")
    found += [("detail", *one) for one in findings(page)]
    assert not found


def findings(page: Page) -> list[tuple[str, str]]:
    """Return the rule and the element of each finding that is at least moderate."""
    response = Axe().run(page).response
    return [
        (one["id"], one["nodes"][0]["html"])
        for one in response["violations"]
        if one["impact"] in ("moderate", "serious", "critical")
    ]
