"""Each family gives what transformers gives with the same weights: cosine at least 0.9999.

The references are transformers' own tokenizers, processors and models. The weights are
random but keep the scale of what passes, and every test first asserts that the items'
vectors differ, so that agreement means something.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from trawl.encoders import Model, load_model
from trawl.encoders.vectors import pooled, unit
from trawl.types import Sound

from .conftest import Case

pytest.importorskip("torch", reason="no torch: `make parity` installs it")
pytest.importorskip("transformers", reason="no transformers: `make parity` installs it")
pytest.importorskip("onnxscript", reason="no onnxscript: `make parity` installs it")

pytestmark = pytest.mark.timeout(600)

LEAST_COSINE = 0.9999
LEAST_CENTRED_COSINE = 0.999
LEAST_COSINE_INT8 = 0.99
_Vectors = NDArray[np.float32]
BACKENDS = ("onnx", "torch")
TEXT_FAMILIES = ("clip", "siglip", "siglip2", "clap", "bert-cls", "bert-mean")
IMAGE_FAMILIES = ("clip", "siglip", "siglip2")


def _least_cosine(ours: _Vectors, reference: _Vectors) -> float:
    """Give the least cosine of an item's two vectors, with and without what all have in common.

    A small network with random weights gives vectors that are much alike, so that any two
    implementations would seem to agree; less their mean, they are not alike.
    """
    ours, reference = unit(ours), unit(reference)
    mean = reference.mean(axis=0)
    apart = unit(reference - mean)
    assert np.mean(apart @ apart.T) < 0.5
    centred = float(np.min(np.sum(unit(ours - mean) * apart, axis=1)))
    assert centred >= LEAST_CENTRED_COSINE, f"less what all have in common: {centred}"
    return float(np.min(np.sum(ours * reference, axis=1)))


def _model(checkpoint: Path) -> Any:
    from transformers import AutoModel

    return AutoModel.from_pretrained(checkpoint).eval().float()


def _texts(case: Case, texts: list[str]) -> _Vectors:
    """What transformers gives for texts, each on its own, cut at the end where they are long."""
    import torch
    from transformers import AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(case.checkpoint), _model(case.checkpoint)
    found = []
    for text in texts:
        padding = "max_length" if case.family.startswith("siglip") else False
        given = tokenizer(
            text,
            truncation=True,
            max_length=case.onnx.card.towers["text"].options["max_tokens"],
            padding=padding,
            return_tensors="pt",
        )
        with torch.inference_mode():
            if case.family.startswith("bert"):
                states = model(**given).last_hidden_state.numpy()
                mask = given["attention_mask"].numpy()
                found.append(pooled(states, mask, case.family.partition("-")[2])[0])
            else:
                found.append(model.get_text_features(**given).pooler_output[0].numpy())
    return np.stack(found)


def _images(case: Case, images: list[Image.Image]) -> _Vectors:
    import torch
    from transformers import AutoImageProcessor

    processor, model = AutoImageProcessor.from_pretrained(case.checkpoint), _model(case.checkpoint)
    with torch.inference_mode():
        return np.concatenate(
            [
                model.get_image_features(**processor(image, return_tensors="pt")).pooler_output
                for image in images
            ]
        )


def _sounds(case: Case, sounds: list[Sound]) -> _Vectors:
    """CLAP's reference on the windows that Trawl cuts, since its own crops are random."""
    import torch
    from transformers import ClapFeatureExtractor

    extractor, model = (
        ClapFeatureExtractor.from_pretrained(case.checkpoint),
        _model(case.checkpoint),
    )
    cut: Any = case.onnx.encoders["audio"]
    log_mel = cut.encoder.log_mel
    found = []
    for sound in sounds:
        windows = []
        for window in log_mel.windows(sound):
            assert len(window) <= 480_000
            given = extractor(window, sampling_rate=48_000, return_tensors="pt")
            with torch.inference_mode():
                vector = model.get_audio_features(input_features=given["input_features"].float())
            windows.append(unit(vector.pooler_output.numpy())[0])
        found.append(np.mean(windows, axis=0))
    return np.stack(found)


def _backend(case: Case, backend: str) -> Model:
    return case.onnx if backend == "onnx" else case.torch


@pytest.mark.parametrize("family", TEXT_FAMILIES)
def test_texts(case_of: Callable[[str], Case], captions: list[str], family: str) -> None:
    case = case_of(family)
    prefix = "query: " if family.startswith("bert") else ""
    reference = _texts(case, [prefix + caption for caption in captions])
    for backend in BACKENDS:
        tower: Any = _backend(case, backend).text
        least = _least_cosine(tower.encode_queries(captions), reference)
        assert least >= LEAST_COSINE, f"{family}, {backend}: {least}"


@pytest.mark.parametrize("family", IMAGE_FAMILIES)
def test_images(case_of: Callable[[str], Case], photos: list[Image.Image], family: str) -> None:
    case = case_of(family)
    reference = _images(case, photos)
    for backend in BACKENDS:
        ours = _backend(case, backend).encoders["image"].encode(photos)
        least = _least_cosine(ours, reference)
        assert least >= LEAST_COSINE, f"{family}, {backend}: {least}"


def test_sounds(case_of: Callable[[str], Case], sounds: list[Sound]) -> None:
    case = case_of("clap")
    reference = _sounds(case, sounds)
    for backend in BACKENDS:
        ours = _backend(case, backend).encoders["audio"].encode(sounds)
        least = _least_cosine(ours, reference)
        assert least >= LEAST_COSINE, f"{backend}: {least}"


@pytest.mark.parametrize("family", ["clip", "clap", "bert-mean"])
def test_int8(
    case_of: Callable[[str], Case],
    captions: list[str],
    photos: list[Image.Image],
    sounds: list[Sound],
    tmp_path: Path,
    family: str,
) -> None:
    from trawl.encoders.export import quantise

    case = case_of(family)
    quantise(case.onnx.card, tmp_path / "int8")
    model = load_model(str(tmp_path / "int8"))
    assert model.space.fingerprint != case.onnx.space.fingerprint
    media: dict[str, Any] = {"text": captions, "image": photos, "audio": sounds}
    for modality, encoder in model.encoders.items():
        full = case.onnx.encoders[modality].encode(media[modality])
        least = float(np.min(np.sum(encoder.encode(media[modality]) * full, axis=1)))
        assert least >= LEAST_COSINE_INT8, f"{family}, {modality}: {least}"
