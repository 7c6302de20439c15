"""Asking in words: answers, highlights, history, shared addresses, errors, keyboard."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from browser.conftest import Watch


def ask(page: Page, words: str) -> None:
    """Enter a question and wait for its answer."""
    page.get_by_role("combobox", name="Question").fill(words)
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_contain_text(re.compile(r"\d+ results?"))


def test_words_find_passages_and_pictures(page: Page, site: str) -> None:
    page.goto(site)
    expect(page.get_by_role("combobox", name="Question")).to_be_focused()
    ask(page, "muon decay")
    results = page.get_by_role("main").get_by_role("article")
    expect(results.filter(has_text="Muon decay").first).to_be_visible()
    expect(results.locator("mark").filter(has_text=re.compile("muon", re.I)).first).to_be_visible()
    expect(page).to_have_url(re.compile(r"\?q=muon\+decay$"))
    expect(page).to_have_title(re.compile("muon decay"))


def test_address_and_history_hold_the_question(page: Page, site: str) -> None:
    page.goto(site)
    ask(page, "bread")
    ask(page, "muon")
    page.go_back()
    expect(page.get_by_role("combobox", name="Question")).to_have_value("bread")
    expect(page.get_by_role("main").get_by_text("Sourdough").first).to_be_visible()
    page.go_back()
    expect(page.get_by_role("combobox", name="Question")).to_have_value("")
    page.go_forward()
    page.go_forward()
    expect(page.get_by_role("combobox", name="Question")).to_have_value("muon")
    page.reload()
    expect(page.get_by_role("combobox", name="Question")).to_have_value("muon")
    expect(page.get_by_role("main").get_by_role("article").first).to_be_visible()


def test_error_of_the_language_stands_under_its_character(
    page: Page, site: str, watch: Watch
) -> None:
    watch.expect("status of 422")
    page.goto(site)
    page.get_by_role("combobox", name="Question").fill("muon year:>=")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text=re.compile("value", re.I))).to_be_visible()
    expect(page.get_by_role("combobox", name="Question")).to_be_focused()
    ask(page, "muon year:>=2000")
    expect(page.get_by_role("alert").filter(has_text=re.compile("value"))).to_have_count(0)


def test_keyboard_alone_reaches_everything(page: Page, site: str) -> None:
    page.goto(f"{site}/?q=muon")
    opened = page.get_by_role("main").get_by_role("article")
    expect(opened.first).to_be_visible()
    page.keyboard.press("/")
    box = page.get_by_role("combobox", name="Question")
    expect(box).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    focused = page.locator(":focus")
    expect(focused).to_have_attribute("href", re.compile("show="))
    there = focused.get_attribute("href")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator(":focus")).to_have_attribute("href", there or "")
