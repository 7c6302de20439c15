"""Render `docs/search.svg`, the picture in the README, from real output of `trawl search`.

    python scripts/screenshot.py

Indexes the example collection in a temporary directory and runs the commands in a pseudo-terminal.
"""

from __future__ import annotations

import fcntl
import html
import io
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = 84
CELL = 12.2
"""Width of a character in Rich's SVG, in its units."""
SEARCHES = (
    'search "siren passing by" --limit 4',
    "search --image galaxy.jpg --modality text --limit 1",
)
TEXT = re.compile(
    r'<text class="(\S+)" x="(\S+)" y="(\S+)" textLength="(\S+)" (.*?)>(.*?)</text>', re.DOTALL
)
FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
THEME = TerminalTheme(
    (22, 27, 34),
    (201, 209, 217),
    [
        (72, 79, 88), (255, 123, 114), (126, 231, 135), (227, 179, 65),
        (121, 192, 255), (210, 168, 255), (118, 205, 219), (177, 186, 196),
    ],
)  # fmt: skip


def output(command: list[str], directory: Path) -> str:
    """Return what `command` prints to a colour terminal of `COLUMNS` columns."""
    reader, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    plain = {key: value for key, value in os.environ.items() if not key.startswith("TRAWL_")}
    environment = {**plain, "TERM": "xterm-256color", "TRAWL_LIBRARY": "library"}
    process = subprocess.Popen(
        command, cwd=directory, env=environment, stdout=terminal, stderr=subprocess.DEVNULL
    )
    os.close(terminal)
    chunks = []
    while True:
        try:
            chunk = os.read(reader, 65536)
        except OSError:  # the terminal is closed
            break
        if not chunk:
            break
        chunks.append(chunk)
    if process.wait():
        sys.exit(f"{command} failed with exit code {process.returncode}")
    return b"".join(chunks).decode().replace("\r\n", "\n")


def trimmed(text: re.Match[str]) -> str:
    """Return an SVG text element without the spaces around it, which some renderers collapse."""
    style, x, y, _, rest, content = text.groups()
    content = content.strip()
    words = re.sub(r"^(&#160;)+", "", content)
    start = float(x) + CELL * ((len(content) - len(words)) // len("&#160;"))
    words = re.sub(r"(&#160;)+$", "", words)
    if not words:
        return ""
    width = CELL * len(html.unescape(words))
    return (
        f'<text class="{style}" x="{start:.1f}" y="{y}" textLength="{width:.1f}" {rest}>'
        f"{words}</text>"
    )


def main() -> None:
    """Write the picture."""
    trawl = [sys.executable, "-m", "trawl"]
    shown = Text()
    with tempfile.TemporaryDirectory() as folder:
        demo = Path(folder) / "demo"
        subprocess.run([*trawl, "demo", str(demo)], check=True, stdout=subprocess.DEVNULL)
        picture = demo / "collection" / "physics" / "figures" / "galaxy-field.jpg"
        (demo / "galaxy.jpg").symlink_to(picture)
        for search in SEARCHES:
            arguments = re.findall(r'"[^"]*"|\S+', search)
            lines = output([*trawl, *(word.strip('"') for word in arguments)], demo)
            shown.append("$ ", "bold green").append(f"trawl {search}\n\n", "bold")
            shown.append_text(Text.from_ansi(lines.replace(str(demo) + "/", "").rstrip()))
            shown.append("\n\n")
    console = Console(record=True, width=COLUMNS + 4, file=io.StringIO(), force_terminal=True)
    shown.rstrip()
    console.print(Padding(shown, (1, 2)))
    svg = console.export_svg(title="trawl", theme=THEME, unique_id="trawl")
    # No fonts from another host: the reader's own monospace font.
    svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    svg = svg.replace("font-family: Fira Code, monospace", f"font-family: {FONTS}")
    svg = svg.replace("font-family: arial", "font-family: system-ui, sans-serif")
    svg = TEXT.sub(trimmed, svg)
    svg = "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"
    (ROOT / "docs" / "search.svg").write_text(svg, "utf-8")


if __name__ == "__main__":
    main()
