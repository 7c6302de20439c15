"""Build parsers from the grammar files of this package, on first use."""

from __future__ import annotations

import sys
from functools import cache
from importlib.util import cache_from_source
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lark import Lark


@cache
def parser(name: str, **options: Any) -> Lark:
    """Return the LALR parser of `name`.lark; its trees have positions.

    Building takes some 50 ms and loading 3 ms, so the tables are kept beside the bytecode
    of this package, under the same conditions: in `__pycache__`, if it is writable and
    Python may write bytecode. lark rebuilds them if the grammar has changed.
    """
    from lark import Lark

    source = Path(__file__).with_name(f"{name}_lark.py")
    tables = str(Path(cache_from_source(str(source))).with_suffix(".tables"))
    return Lark.open(
        f"{name}.lark",
        rel_to=__file__,
        parser="lalr",
        propagate_positions=True,
        maybe_placeholders=True,
        cache=False if sys.dont_write_bytecode else tables,
        **options,
    )
