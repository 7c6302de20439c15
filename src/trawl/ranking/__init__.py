"""Comparable scores for every source, and one list made of them. Pure arithmetic."""

from trawl.ranking.balance import balance
from trawl.ranking.calibration import Background, Null, Prior, calibrate, measure_null
from trawl.ranking.excerpts import excerpts
from trawl.ranking.fusion import GOOD_MATCH, Fused, Fusion, Method, facet_of, fuse

__all__ = [
    "GOOD_MATCH",
    "Background",
    "Fused",
    "Fusion",
    "Method",
    "Null",
    "Prior",
    "balance",
    "calibrate",
    "excerpts",
    "facet_of",
    "fuse",
    "measure_null",
]
