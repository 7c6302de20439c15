"""Calibrate the similarities of every source and fuse them into one list. No I/O."""

from trawl.ranking.balance import balance, by_quota, deal_out
from trawl.ranking.calibration import (
    Background,
    Calibrated,
    Null,
    Prior,
    calibrate,
    excerpts,
    measure_null,
)
from trawl.ranking.fusion import GOOD_MATCH, Fused, Fusion, Method, facet_of, fuse

__all__ = [
    "GOOD_MATCH",
    "Background",
    "Calibrated",
    "Fused",
    "Fusion",
    "Method",
    "Null",
    "Prior",
    "balance",
    "by_quota",
    "calibrate",
    "deal_out",
    "excerpts",
    "facet_of",
    "fuse",
    "measure_null",
]
