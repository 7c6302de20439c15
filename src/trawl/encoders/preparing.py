"""The threads that media are prepared on, beside the networks. All encoders share them."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from trawl.encoders.base import StagedEncoder
from trawl.encoders.lazy import Once


def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(min(8, os.cpu_count() or 1), "trawl-prepare")


_pool = Once(_threads)


def prepare_soon(encoder: StagedEncoder, item: Any) -> Future[Any]:
    """Prepare a document's item on a thread of its own; the item is let go of afterwards.

    Who asks bounds how many wait: every one of them holds its item.
    """
    return _pool().submit(encoder.prepare, item)
