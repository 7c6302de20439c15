"""Each family gives what transformers gives with the same weights: cosine at least 0.9999.

The references are transformers' own tokenizers, processors and models. The weights are
random but keep the scale of what passes. Every comparison first asserts that the items'
vectors differ, and cards that are wrong in one line must fail it, so that agreement means
something.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from trawl.encoders import Model, load_model
from trawl.encoders.base import unit
from trawl.encoders.texts import pooled
from trawl.types import Sound

from .conftest import Case

pytest.importorskip("torch", reason="no torch: `make parity` installs it")
pytest.importorskip("transformers", reason="no transformers: `make parity` installs it")
pytest.importorskip("onnxscript", reason="no onnxscript: `make parity` installs it")

pytestmark = pytest.mark.timeout(600)

LEAST_COSINE = 0.9999
LEAST_CENTRED_COSINE = 0.999
LEAST_COSINE_INT8 = 0.99
LEAST_MEAN_CENTRED_COSINE_INT8 = 0.97
MOST_ALIKE = 0.985
_Vectors = NDArray[np.float32]
BACKENDS = ("onnx", "torch")
# `clip-full` is ViT-B/32 in its published size; the others have the true shape, and small widths.
TOWERS = [
    ("clip", "text"),
    ("clip", "image"),
    ("clip-full", "text"),
    ("clip-full", "image"),
    ("metaclip2", "text"),
    ("metaclip2", "image"),
    ("siglip", "text"),
    ("siglip", "image"),
    ("siglip2", "text"),
    ("siglip2", "image"),
    ("clap", "text"),
    ("clap", "audio"),
    ("bert-cls", "text"),
    ("bert-mean", "text"),
]


def _cosines(ours: _Vectors, reference: _Vectors) -> tuple[_Vectors, _Vectors]:
    """Return the cosine of each item's two vectors, with and without what all have in common.

    A small network with random weights gives vectors that are much alike, so that any two
    implementations would seem to agree; less the reference's mean, they are not alike.
    """
    ours, reference = unit(ours), unit(reference)
    cosines = reference @ reference.T
    others = cosines[~np.eye(len(reference), dtype=bool)]
    assert np.mean(others) < MOST_ALIKE, "all items are one to this network: it proves nothing"
    mean = reference.mean(axis=0)
    centred = np.sum(unit(ours - mean) * unit(reference - mean), axis=1)
    return np.sum(ours * reference, axis=1), centred


def _agrees(ours: _Vectors, reference: _Vectors) -> bool:
    cosine, centred = _cosines(ours, reference)
    return bool(cosine.min() >= LEAST_COSINE and centred.min() >= LEAST_CENTRED_COSINE)


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


@pytest.fixture(scope="session")
def media(
    captions: list[str], photos: list[Image.Image], sounds: list[Sound]
) -> dict[str, Sequence[Any]]:
    assert (len(captions), len(photos), len(sounds)) == (50, 50, 20)
    return {"text": captions, "image": photos, "audio": sounds}


def _reference(case: Case, modality: str, items: Sequence[Any]) -> _Vectors:
    if modality not in case.references:
        give: dict[str, Callable[[Case, Any], _Vectors]] = {
            "text": lambda case, texts: _texts(case, [_prefix(case) + text for text in texts]),
            "image": _images,
            "audio": _sounds,
        }
        case.references[modality] = give[modality](case, items)
    found: _Vectors = case.references[modality]
    return found


def _prefix(case: Case) -> str:
    return "query: " if case.family.startswith("bert") else ""


def _given(model: Model, modality: Any, items: Sequence[Any]) -> _Vectors:
    """What Trawl gives: texts as queries, which are cut where the reference cuts them."""
    tower: Any = model.encoders[modality]
    found: _Vectors = (tower.encode_queries if modality == "text" else tower.encode)(items)
    return found


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("family", "modality"), TOWERS)
def test_gives_what_the_reference_gives(
    case_of: Callable[[str], Case],
    media: dict[str, Sequence[Any]],
    family: str,
    modality: str,
    backend: str,
) -> None:
    case = case_of(family)
    model = case.onnx if backend == "onnx" else case.torch
    cosine, centred = _cosines(
        _given(model, modality, media[modality]), _reference(case, modality, media[modality])
    )
    assert cosine.min() >= LEAST_COSINE
    assert centred.min() >= LEAST_CENTRED_COSINE, "less what all have in common"


@pytest.mark.parametrize("backend", BACKENDS)
def test_documents_have_their_own_prefix(
    case_of: Callable[[str], Case], media: dict[str, Sequence[Any]], backend: str
) -> None:
    case = case_of("bert-mean")
    model = case.onnx if backend == "onnx" else case.torch
    captions = [text for text in media["text"] if len(text) < 40]
    assert len(captions) > 5
    reference = _texts(case, ["passage: " + text for text in captions])
    assert _agrees(model.text.encode(captions), reference)
    assert not _agrees(_given(model, "text", captions), reference)


# What is wrong with a card, and in which tower of which family: every one of them would go
# unnoticed if it did not make a test fail.
WRONG: list[tuple[str, str, dict[str, Any]]] = [
    ("clip", "image", {"filter": "bilinear"}),
    ("clip", "image", {"resize": "squash", "crop_px": 0}),
    ("clip", "image", {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}),
    ("clip", "text", {"suffix_ids": []}),
    ("clip", "text", {"prefix_ids": []}),
    ("clip", "text", {"max_tokens": 70}),
    ("clip-full", "image", {"filter": "bilinear"}),
    ("siglip", "image", {"filter": "bilinear"}),
    ("siglip", "text", {"lower_case": False}),
    ("siglip", "text", {"strip_punctuation": False}),
    ("siglip", "text", {"pad_id": 2}),
    ("siglip2", "image", {"filter": "bicubic"}),
    ("siglip2", "text", {"pad_id": 1}),
    ("siglip2", "text", {"pad_left": True}),
    ("clap", "text", {"prefix_ids": []}),
    ("clap", "audio", {"scale": "htk"}),
    ("clap", "audio", {"low_hz": 0.0}),
    ("bert-cls", "text", {"pooling": "mean"}),
    ("bert-mean", "text", {"pooling": "cls"}),
    ("bert-mean", "text", {"query_prefix": ""}),
]


@pytest.mark.parametrize(("family", "modality", "wrong"), WRONG)
def test_a_wrong_card_is_noticed(
    case_of: Callable[[str], Case],
    media: dict[str, Sequence[Any]],
    family: str,
    modality: Any,
    wrong: dict[str, Any],
) -> None:
    case = case_of(family)
    card = case.onnx.card
    tower = card.towers[modality]
    altered = replace(tower, options={**tower.options, **wrong})
    model = Model(replace(card, towers={modality: altered}))
    reference = _reference(case, modality, media[modality])
    assert not _agrees(_given(model, modality, media[modality]), reference)


@pytest.mark.parametrize("family", list(dict.fromkeys(family for family, _ in TOWERS)))
def test_int8(
    case_of: Callable[[str], Case],
    media: dict[str, Sequence[Any]],
    tmp_path: Path,
    family: str,
) -> None:
    from trawl.encoders.export import quantise

    case = case_of(family)
    quantise(case.onnx.card, tmp_path / "int8")
    model = load_model(str(tmp_path / "int8"))
    assert model.space.fingerprint != case.onnx.space.fingerprint
    for modality in model.encoders:
        reference = _reference(case, modality, media[modality])
        cosine, centred = _cosines(_given(model, modality, media[modality]), reference)
        assert cosine.min() >= LEAST_COSINE_INT8, modality
        assert centred.mean() >= LEAST_MEAN_CENTRED_COSINE_INT8, modality
