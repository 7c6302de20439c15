"""Embedding models and rerankers."""

from trawl.encoders.base import (
    Encoder,
    StagedEncoder,
    TextEncoder,
    encode_queries,
    encode_query,
    limit_threads,
    tokens_cut,
)
from trawl.encoders.batcher import prepare_soon
from trawl.encoders.cards import RERANKING, Listing
from trawl.encoders.own import check_complete, completed, own_models
from trawl.encoders.registry import (
    PROFILES,
    Model,
    canonical_profile,
    encoders_of,
    listing_of,
    listings,
    load_model,
    load_profile,
    load_reranker,
    model_names,
    profile_of_spaces,
    rerankers,
)

__all__ = [
    "PROFILES",
    "RERANKING",
    "Encoder",
    "Listing",
    "Model",
    "StagedEncoder",
    "TextEncoder",
    "canonical_profile",
    "check_complete",
    "completed",
    "encode_queries",
    "encode_query",
    "encoders_of",
    "limit_threads",
    "listing_of",
    "listings",
    "load_model",
    "load_profile",
    "load_reranker",
    "model_names",
    "own_models",
    "prepare_soon",
    "profile_of_spaces",
    "rerankers",
    "tokens_cut",
]
