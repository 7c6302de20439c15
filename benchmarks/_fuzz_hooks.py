"""Hooks for Schemathesis: valid image and audio files, which it cannot generate."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
import schemathesis
import soundfile
from hypothesis import strategies as st
from PIL import Image


def _png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 6), (200, 20, 20)).save(out, "PNG")
    return out.getvalue()


def _wav() -> bytes:
    out = io.BytesIO()
    soundfile.write(out, np.sin(np.arange(1600) * 0.3), 16_000, format="WAV")
    return out.getvalue()


FILES = [_png(), _wav(), _png()[:40], b"The muon decays."]

schemathesis.openapi.format("binary", st.sampled_from(FILES) | st.binary())
schemathesis.openapi.format(
    "base64",
    (st.sampled_from(FILES) | st.binary(min_size=1)).map(
        lambda data: base64.b64encode(data).decode()
    ),
)


@schemathesis.serializer("application/jsonl", "application/x-ndjson")
def lines(context: Any, value: Any) -> bytes:
    """Serialize strings as they are, and other values as one line of JSON."""
    return (value if isinstance(value, str) else json.dumps(value)).encode("utf-8", "replace")


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """Replace some random bytes by a valid file."""
    if isinstance(body, dict) and isinstance(body.get("file"), str) and len(body["file"]) != 1:
        body["file"] = FILES[len(body["file"]) % len(FILES)]
    return body


@schemathesis.hook
def map_query(context: Any, query: Any) -> Any:
    """Replace some unknown columns by existing ones."""
    keys = query.get("key") if isinstance(query, dict) else None
    if isinstance(keys, list) and keys and len(str(keys[0])) % 2:
        query["key"] = ["year", "modality"]
    return query
