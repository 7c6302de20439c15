"""A headless Chromium for Playwright: where it is, and how it starts."""

from __future__ import annotations

import os
import shutil

from playwright.sync_api import Browser, Playwright

MISSING = "no Chromium: scripts/debian-packages.sh installs it, or set TRAWL_CHROMIUM"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find() -> str | None:
    """Return the path of a Chromium: `TRAWL_CHROMIUM`, or the first that is installed."""
    given = os.environ.get("TRAWL_CHROMIUM")
    return given or next((path for name in _NAMES if (path := shutil.which(name))), None)


def launch(playwright: Playwright, path: str, *arguments: str) -> Browser:
    """Start a Chromium. As root it runs without its sandbox, which root cannot have."""
    needed = ["--no-sandbox"] if os.geteuid() == 0 else []
    return playwright.chromium.launch(executable_path=path, args=[*arguments, *needed])
