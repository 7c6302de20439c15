"""Writing to a terminal, a pipe or a file: clean text, right widths, no colour where none is."""

from __future__ import annotations

import sys
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 80
MAX_WIDTH = 100

_UNSAFE = {"Cc", "Cs", "Zl", "Zp"}
# Signs that turn the direction of what follows, and so could disguise a name.
_DIRECTIONS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f"


def clean(text: str) -> str:
    """Text that cannot move the cursor or colour the screen: such signs are written out."""
    if text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in _UNSAFE or character in _DIRECTIONS
        else character
        for character in text
    )


def console(*, stderr: bool = False) -> Console:
    """A console on stdout or stderr: at most `MAX_WIDTH` wide, `PIPE_WIDTH` where piped."""
    from rich.console import Console

    found = Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)
    found.width = min(found.width, MAX_WIDTH) if found.is_terminal else PIPE_WIDTH
    return found


def complain(message: str) -> None:
    """A message on stderr; its own line breaks stay."""
    lines = "\n".join(clean(line) for line in message.split("\n"))
    print(f"trawl: {lines}", file=sys.stderr)
