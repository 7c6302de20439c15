"""A Chromium, a served library, and pages that must stay free of errors."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Dialog,
    Page,
    Request,
    expect,
    sync_playwright,
)

import chromium
from browser.collection import write_files
from served import over_http, serving, wait_until_ready
from trawl.libraries.served import ServedLibraries
from trawl.library import Library
from trawl.server import create_app
from trawl.server.auth import hash_key
from trawl.settings import load_settings

Serve = Callable[..., str]
"""The type of `app_of`: from the paths of libraries and settings to an address."""

# Other tests may take the whole machine meanwhile.
PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)

KEYS = {
    "reader": {"sha256": hash_key("read-only"), "scopes": ["read"]},
    "editor": {"sha256": hash_key("may-write"), "scopes": ["read", "write"]},
}
# What a test sees of the page before anything else: a violation of the policy is an error too.
REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Return a headless Chromium with a microphone that hears beeps.

    Its scope ends with these tests, because Playwright keeps an event loop running.
    """
    path = chromium.find()
    if path is None:
        if os.environ.get("TRAWL_REQUIRE_CHROMIUM"):
            pytest.fail(chromium.MISSING)
        pytest.skip(chromium.MISSING)
    arguments = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with sync_playwright() as playwright:
        launched = chromium.launch(playwright, path, *arguments)
        yield launched
        launched.close()


@dataclass
class Watch:
    """What went wrong in the pages of a test, other than what the test expects."""

    faults: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def expect(self, pattern: str) -> None:
        """Allow faults that contain the regular expression."""
        self.expected.append(pattern)

    def of(self, context: BrowserContext) -> None:
        """Watch a context: console, exceptions, dialogs, and requests to other hosts."""
        context.add_init_script(REPORT_VIOLATIONS)
        context.on("console", lambda said: said.type == "error" and self._add(said.text))
        context.on("weberror", lambda error: self._add(f"exception: {error.error}"))
        context.on("dialog", self._refuse)
        context.on("request", self._check)
        context.on("requestfailed", self._blocked)

    def _add(self, fault: str) -> None:
        self.faults.append(fault)

    def _refuse(self, dialog: Dialog) -> None:
        self._add(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _check(self, request: Request) -> None:
        if not re.match(r"(https?://127\.0\.0\.1[:/]|blob:|data:)", request.url):
            self._add(f"request to another host: {request.url}")

    def _blocked(self, request: Request) -> None:
        # The event of a request comes before the page's policy stops it.
        fault = f"request to another host: {request.url}"
        if request.failure == "csp" and fault in self.faults:
            self.faults.remove(fault)

    def assert_quiet(self) -> None:
        """Fail with every fault that no pattern allows."""
        left = [one for one in self.faults if not any(re.search(p, one) for p in self.expected)]
        assert not left, "\n".join(left)


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Return the watch over the pages of a test; the test fails if it saw a fault."""
    made = Watch()
    yield made
    made.assert_quiet()


@pytest.fixture
def app_of() -> Iterator[Serve]:
    """Return a function that serves one library or several, and returns the address."""
    with ExitStack() as stack:

        def served(path: Path, *others: Path, **settings: Any) -> str:
            opened = ServedLibraries((path, *others)) if others else Library(path)
            library = cast(Library, stack.enter_context(opened))
            app = create_app(library, load_settings(path, **({"rate_limit": ""} | settings)))
            address = stack.enter_context(over_http(app))
            wait_until_ready(address)
            return address

        yield served


@pytest.fixture
def new_page(browser: Browser, watch: Watch, app_of: Serve) -> Iterator[Callable[..., Page]]:
    """Return a function that opens a page with a session of its own.

    The pages close before the servers of `app_of`, which they would miss.
    """
    with ExitStack() as stack:

        def opened(**options: Any) -> Page:
            defaults: dict[str, Any] = {
                "viewport": {"width": 1280, "height": 800},
                "reduced_motion": "reduce",
                "permissions": ["microphone", "clipboard-read", "clipboard-write"],
            }
            context = browser.new_context(**(defaults | options))
            stack.callback(context.close)
            context.set_default_timeout(PATIENCE_MS)
            watch.of(context)
            page = context.new_page()
            # No part of a document ran.
            stack.callback(_assert_unharmed, page)
            return page

        yield opened


def _assert_unharmed(page: Page) -> None:
    if not page.is_closed() and page.url.startswith("http"):
        assert page.evaluate("document.documentElement.dataset.hacked") is None


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    """Return an empty page in a session of its own."""
    return new_page()


@pytest.fixture(scope="package")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a library of every kind of file. Tests do not change it."""
    folder = tmp_path_factory.mktemp("page")
    write_files(folder / "files")
    with Library(folder / "library", create=True) as library:
        library.add(folder / "files")
    return folder / "library"


@pytest.fixture(scope="package")
def site(library: Path) -> Iterator[str]:
    """Serve the library with `trawl serve`, and return its address."""
    with serving(library) as (_, address):
        wait_until_ready(address)
        yield address


@pytest.fixture
def own_library(library: Path, tmp_path: Path) -> Path:
    """Return a copy of the library that a test may change."""
    return Path(shutil.copytree(library, tmp_path / "library"))
