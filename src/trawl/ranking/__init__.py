"""Calibrate the similarities of every source and fuse them into one list. No I/O."""

from trawl.ranking.balance import balance, by_quota, deal_out
from trawl.ranking.calibration import (
    Null,
    Prior,
    answer_odds,
    calibrate,
    excerpts,
    joined_null,
    measure_null,
)
from trawl.ranking.fused import GOOD_MATCH, Fused, Fusion
from trawl.ranking.fusion import Method, facet_of, fuse

__all__ = [
    "GOOD_MATCH",
    "Fused",
    "Fusion",
    "Method",
    "Null",
    "Prior",
    "answer_odds",
    "balance",
    "by_quota",
    "calibrate",
    "deal_out",
    "excerpts",
    "facet_of",
    "fuse",
    "joined_null",
    "measure_null",
]
