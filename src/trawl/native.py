"""Calls to the C library of the system."""

from __future__ import annotations

import ctypes
import sys


def return_freed_memory() -> None:
    """Return to the system the memory that was freed, which glibc otherwise keeps for later.

    Other C libraries have no such call.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
