"""The page in a real Chromium over a library of 100,000 chunks.

Usage: python page.py [ROUNDS] (default 20). Prints how long after Enter the first results are
painted, the longest task while a question is typed and while pictures are scrolled, and the bytes
of the first load. The baseline is the same search without a browser. Needs Chromium and Playwright.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path

import httpx

from common import CHUNKS, Queries, served_library

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
WATCH = """
window.longest = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.longest = Math.max(window.longest, entry.duration);
}).observe({ type: "longtask", buffered: true });
addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  const began = performance.now();
  window.painted = new Promise((resolve) => {
    const before = document.querySelector("#results .hit")?.dataset.id;
    const look = () => {
      const hit = document.querySelector("#results .hit:not(.card)");
      const fresh = !document.body.classList.contains("busy") && hit && performance
        .getEntriesByName("first results").some((one) => one.startTime + one.duration > began);
      // After the frame in which they are laid out, and the one that shows them.
      if (fresh) requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - began)));
      else if (performance.now() - began > 10000) resolve(null);
      else requestAnimationFrame(look);
    };
    look();
  });
}, true);
"""


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    from playwright.sync_api import sync_playwright

    import chromium
    from served import serving, wait_until_ready

    path = chromium.find()
    if path is None:
        sys.exit(f"skipped: {chromium.MISSING}")
    library = Path(os.environ.get("TRAWL_BENCH_LIBRARY") or served_library(CHUNKS))
    with serving(library) as (_, address), sync_playwright() as playwright:
        wait_until_ready(address)
        queries = Queries(seed=7)
        with httpx.Client(base_url=address) as client:
            bare = []
            for _ in range(rounds + 3):
                body = {"q": next(queries), "limit": 25}
                began = time.perf_counter()
                client.post("/v1/search", json=body).raise_for_status()
                bare.append((time.perf_counter() - began) * 1000)
        baseline = statistics.median(bare[3:])
        browser = chromium.launch(playwright, path)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.add_init_script(WATCH)
        size = 0
        answers = []
        page.on("response", lambda response: answers.append(response))
        page.goto(address)
        page.wait_for_selector("article.card")
        for one in answers:
            if "/ui/" in one.url or one.url.rstrip("/") == address:
                size += len(one.body())
        painted = []
        for _ in range(rounds + 3):
            page.fill("#words", "")
            page.evaluate("window.longest = 0")
            page.type("#words", next(queries), delay=30)
            page.keyboard.press("Enter")
            painted.append(page.evaluate("window.painted"))
        if None in painted:
            print(f"{painted.count(None)} questions without results within 10 s are left out")
            painted = [one for one in painted if one is not None]
        typing = page.evaluate("window.longest")
        found = statistics.median(painted[3:])
        worst = sorted(painted[3:])[int(0.95 * len(painted[3:]))]
        print(f"HTTP alone (baseline): {baseline:.1f} ms a question")
        print(f"painted after Enter: {found:.0f} ms, p95 {worst:.0f}, ratio {found / baseline:.1f}")
        print(f"longest task while typing and showing results: {typing:.0f} ms")
        page.goto(f"{address}/?q=modality:image&m=image&all=1")
        page.wait_for_selector(".tile")
        page.evaluate("window.longest = 0")
        began = time.perf_counter()
        count = 0
        while count < 1000 and time.perf_counter() - began < 120:
            page.mouse.wheel(0, 1500)
            page.wait_for_timeout(100)
            count = page.locator(".tile").count()
        longest = page.evaluate("window.longest")
        print(f"scrolled through {count} pictures: longest task {longest:.0f} ms")
        print(f"first load: {size / 1000:.0f} kB without media")
        browser.close()


if __name__ == "__main__":
    main()
