"""Docstrings and help are plain English: imperative, without the phrases that CONTRIBUTING bans."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent.parent / "src" / "trawl"
MODULES = sorted(SOURCE.rglob("*.py"))

FIRST_WORDS = re.compile(r"(Give|Tell|Say|Ask|Let)s?\b")
PHRASES = re.compile(
    r"\b(lets? by|let by|what is told|who(ever)? (comes|asks|counts)|come again|cannot be meant)\b"
)


def docstrings(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and text of every string that is a statement: docstrings and their like."""
    for node in ast.walk(module):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            value = node.value.value
            if isinstance(value, str):
                yield node.lineno, value


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_plain_english(path: Path) -> None:
    text = path.read_text("utf-8")
    bad = [line for line, string in docstrings(ast.parse(text)) if FIRST_WORDS.match(string)]
    assert bad == [], "start docstrings with the action, or with Return"
    assert PHRASES.findall(text) == []
