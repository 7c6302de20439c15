"""Render docs/page-*.png, the pictures of the page, from the example collection.

    python scripts/page_screenshots.py [LIBRARY]

Without LIBRARY, indexes the examples in a temporary directory. Needs the development packages and
Chromium (`scripts/debian-packages.sh`).
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
import chromium  # noqa: E402
from served import serving, wait_until_ready  # noqa: E402

WIDE = {"width": 1280, "height": 860}
COLOURS = 128
"""Colours of a picture's palette: a fifth of the size, and no difference to the eye."""


def open_first(page: Page) -> None:
    """Open the first result, and wait for its picture."""
    page.locator(".hit .open").first.click()
    page.locator("#detail img").first.wait_for()


def play(page: Page) -> None:
    """Wait for the waveforms."""
    page.locator("canvas").first.wait_for()


def on_map(page: Page) -> None:
    """Wait for the results on the map."""
    page.locator(".pin").first.wait_for(timeout=60_000)


def nothing(page: Page) -> None:
    """Leave the page as it is."""


SHOTS: dict[str, tuple[str, str, Callable[[Page], None]]] = {
    "search": ("/?q=muon+decay", "light", nothing),
    "pictures": ("/?q=spectrum+or+sky&m=image&all=1", "dark", nothing),
    "document": ("/?q=growth+rate+of+yeast+against+temperature", "light", open_first),
    "sounds": ("/?q=siren+passing+by", "dark", play),
    "map": ("/?view=map&q=sound+of+an+engine", "light", on_map),
    "library": ("/?view=library", "dark", nothing),
}


def shoot(browser: Browser, address: str) -> None:
    """Write every picture."""
    for name, (path, theme, prepare) in SHOTS.items():
        page = browser.new_page(viewport=WIDE, color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
        page.goto(address + path)
        page.locator("#results .hit, #results canvas").first.wait_for()
        prepare(page)
        page.wait_for_load_state("networkidle")
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        file = ROOT / "docs" / f"page-{name}.png"
        picture.quantize(COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)
        print(f"{file.relative_to(ROOT)}: {file.stat().st_size / 1000:.0f} kB")
        page.close()


def main() -> None:
    """Serve a library and write every picture."""
    path = chromium.find()
    if path is None:
        sys.exit(chromium.MISSING)
    with tempfile.TemporaryDirectory() as folder:
        library = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder) / "demo" / "library"
        if len(sys.argv) == 1:
            trawl = Path(sys.executable).parent / "trawl"
            subprocess.run([trawl, "demo", library.parent], check=True, capture_output=True)
        with serving(library) as (_, address), sync_playwright() as playwright:
            wait_until_ready(address)
            browser = chromium.launch(playwright, path)
            shoot(browser, address)
            browser.close()


if __name__ == "__main__":
    main()
