"""The shipped weights rank generated sounds: every sound finds its caption."""

from __future__ import annotations

import numpy as np
import pytest

from canary_sounds import CANARIES, canary
from trawl.encoders import Model, load_model
from trawl.types import Sound


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("mini")


@pytest.fixture(scope="module")
def cosines(model: Model) -> np.ndarray:
    """Rows are sounds, columns are captions, in the order of `CANARIES`."""
    captions = list(CANARIES)
    sounds = model.encoders["audio"].encode([canary(caption) for caption in captions])
    return sounds @ model.text.encode(captions).T


def test_each_sound_is_nearest_to_its_own_caption(cosines: np.ndarray) -> None:
    captions = list(CANARIES)
    found = {captions[i]: captions[best] for i, best in enumerate(cosines.argmax(axis=1))}
    assert found == {caption: caption for caption in captions}


def test_each_caption_is_nearest_to_its_own_sound(cosines: np.ndarray) -> None:
    captions = list(CANARIES)
    found = {captions[i]: captions[best] for i, best in enumerate(cosines.argmax(axis=0))}
    assert found == {caption: caption for caption in captions}


def test_loudness_and_sample_rate_do_not_matter(model: Model) -> None:
    encoder, bell = model.encoders["audio"], canary("a church bell")
    quiet = Sound(bell.samples * np.float32(0.05), bell.sample_rate_hz)
    faster = Sound(np.repeat(bell.samples, 3), 3 * bell.sample_rate_hz)
    vectors = encoder.encode([bell, quiet, faster])
    assert vectors[0] @ vectors[1] > 0.999
    assert vectors[0] @ vectors[2] > 0.95


def test_text_of_any_length_is_a_unit_vector(model: Model) -> None:
    texts = ["", "muon", "the decay of a muon " * 3000, "\u2603 \U0001f600"]
    lengths = np.linalg.norm(model.text.encode(texts), axis=1)
    np.testing.assert_allclose(lengths, 1.0, atol=1e-5)


def test_sound_of_any_length_is_a_unit_vector(model: Model) -> None:
    sounds = [Sound(np.full(n, 0.1, np.float32), 8000) for n in (1, 100, 8000, 8000 * 25)]
    lengths = np.linalg.norm(model.encoders["audio"].encode(sounds), axis=1)
    np.testing.assert_allclose(lengths, 1.0, atol=1e-5)


def test_vectors_do_not_depend_on_the_batch(model: Model) -> None:
    texts = ["a muon in the tracker", "dogs", "a much longer sentence about the weather at sea"]
    together = model.text.encode(texts)
    alone = np.concatenate([model.text.encode([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_token_spans_are_inside_the_text(model: Model) -> None:
    text = "Muon  decays, quickly"
    pieces = [text[start:end] for start, end in model.text.token_spans(text)]
    assert "".join(pieces) == "Muondecays,quickly"
