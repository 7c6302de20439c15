"""Log lines: where Trawl says what it does, for those who want to know."""

from __future__ import annotations

import logging

logger = logging.getLogger("trawl")
logger.addHandler(logging.NullHandler())
