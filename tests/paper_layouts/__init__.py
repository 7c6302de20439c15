"""Papers of many layouts, made by code, with the true place of every figure and table.

`LAYOUTS` maps a name to a function that returns a `Paper`. `HELD_OUT` names those that were not
looked at while the detection was developed.
"""

from __future__ import annotations

from collections.abc import Callable

from paper_layouts import harder, held_out, tuned
from paper_layouts.paper import Paper, Truth

LAYOUTS: dict[str, Callable[[], Paper]] = {
    **tuned.LAYOUTS,
    **harder.LAYOUTS,
    **held_out.LAYOUTS,
}
HELD_OUT: frozenset[str] = frozenset(held_out.LAYOUTS)

__all__ = ["HELD_OUT", "LAYOUTS", "Paper", "Truth"]
