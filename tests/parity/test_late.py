"""ColModernVBERT and ColQwen2 beside their references: pages, queries, and a library of them.

`make test` runs the transformers backend on some of the media, `make parity` both on all.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import trawl
from trawl import Library, maxsim
from trawl.encoders import Model, load_model
from trawl.encoders.late import LateImages, LateText
from trawl.encoders.towers import load_towers
from trawl.errors import ModelError
from trawl.search import QueryPart

from .conftest import without_torch
from .test_parity import LEAST_COSINE

torch = pytest.importorskip("torch", reason="no torch: `make parity` installs it")
pytest.importorskip("transformers", reason="no transformers: `make parity` installs it")
pytest.importorskip("onnxscript", reason="no onnxscript: `make parity` installs it")

pytestmark = pytest.mark.timeout(900)

_Vectors = NDArray[np.float32]
_SIZES = [
    (300, 200), (200, 300), (64, 64), (33, 500), (500, 33), (1, 1), (257, 256), (256, 255),
    (1000, 700), (5, 1200),
]  # fmt: skip


@dataclass
class Late:
    checkpoint: Path
    processor: Any
    reference: Any
    torch: Model
    exported: list[Model] = field(default_factory=list)

    def model(self, backend: str) -> Model:
        if backend == "torch":
            return self.torch
        if not self.exported:
            from trawl.encoders.export import export

            folder = self.checkpoint.with_name("onnx")
            export(self.checkpoint, folder)
            self.exported.append(load_model(str(folder)))
        return self.exported[0]

    def query(self, text: str) -> _Vectors:
        """Return the vectors of a query's tokens, as the reference gives them."""
        return self._vectors(self.processor.process_queries([text]))

    def page(self, image: Image.Image) -> _Vectors:
        """Return the vectors of a page's tokens, as the reference gives them."""
        # The reference guesses where the channels are, wrongly for 3 pixels.
        given = {"input_data_format": "channels_last"}
        rgb = image.convert("RGB")
        return self._vectors(self.processor.process_images([rgb], images_kwargs=given))

    def _vectors(self, inputs: Any) -> _Vectors:
        with torch.inference_mode():
            found: _Vectors = self.reference(**inputs).embeddings[0].numpy()
        return found


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Late:
    from transformers import AutoTokenizer, ColModernVBertForRetrieval
    from transformers.models.colmodernvbert.processing_colmodernvbert import ColModernVBertProcessor
    from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

    from . import small

    checkpoint = small.late(tmp_path_factory.mktemp("late") / "checkpoint")
    settings = json.loads((checkpoint / "processor_config.json").read_text("utf-8"))
    images = Idefics3ImageProcessorPil(**settings["image_processor"])
    processor = ColModernVBertProcessor(
        images, AutoTokenizer.from_pretrained(checkpoint), image_seq_len=settings["image_seq_len"]
    )
    reference = ColModernVBertForRetrieval.from_pretrained(checkpoint).eval().float()
    return Late(checkpoint, processor, reference, load_model(str(checkpoint)))


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Late:
    from transformers import AutoTokenizer, ColQwen2ForRetrieval
    from transformers.models.colqwen2.processing_colqwen2 import ColQwen2Processor
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    from . import small

    checkpoint = small.late_qwen(tmp_path_factory.mktemp("qwen") / "checkpoint")
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    processor = ColQwen2Processor(Qwen2VLImageProcessorPil(), tokenizer)
    reference = ColQwen2ForRetrieval.from_pretrained(checkpoint).eval().float()
    return Late(checkpoint, processor, reference, load_model(str(checkpoint)))


@pytest.fixture(scope="module")
def pages(photos: list[Image.Image]) -> list[Image.Image]:
    random = np.random.default_rng(0)
    noise = [
        Image.fromarray(random.integers(0, 255, (high, wide, 3), dtype=np.uint8))
        for wide, high in _SIZES
    ]
    return [*noise, *photos[:20]]


def _of_queries(model: Model, texts: Sequence[str]) -> list[_Vectors]:
    flat = load_towers(model.card)["text"].encode_queries(texts)  # type: ignore[attr-defined]
    rows = [maxsim.rows_of(one, model.space.width) for one in flat]
    return [each / np.linalg.norm(each, axis=1, keepdims=True) for each in rows]


def _of_pages(model: Model, images: Sequence[Image.Image]) -> list[_Vectors]:
    """Return the vectors of all tokens, before they are pooled."""
    towers: Any = load_towers(model.card)
    text, tower = towers["text"], towers["image"]
    assert isinstance(text, LateText)
    assert isinstance(tower, LateImages)
    found = []
    for (prepared,) in map(tower.prepare, images):
        feeds = tower.options.feeds([prepared.arrays])
        features = {"image_features": tower._network.run(feeds)}
        found += text.token_vectors([prepared.before], features)
    return found


def _least(found: Sequence[_Vectors], expected: Sequence[_Vectors]) -> float:
    """Return the least cosine between vectors of the same token; -1 for other numbers of them."""
    pairs = list(zip(found, expected, strict=True))
    if any(ours.shape != theirs.shape for ours, theirs in pairs):
        return -1.0
    return min(float(np.sum(ours * theirs, axis=1).min()) for ours, theirs in pairs)


@pytest.mark.parametrize(
    ("backend", "some"),
    [("torch", True), ("torch", False), ("onnx", False)],
    ids=["torch", "torch-full", "onnx-full"],
)
def test_gives_what_the_reference_gives(
    late: Late, captions: list[str], pages: list[Image.Image], backend: str, some: bool
) -> None:
    model, count = late.model(backend), 6 if some else len(pages)
    texts = ["", "a dog 😀 一只狗", *captions[:count]]
    texts = [one for one in texts if not late.torch.text.tokens_cut(one)]  # type: ignore[attr-defined]
    queries, sheets = _of_queries(model, texts), _of_pages(model, pages[:count])
    their_queries = [late.query(text) for text in texts]
    their_sheets = [late.page(image) for image in pages[:count]]
    assert _least(queries, their_queries) >= LEAST_COSINE
    assert _least(sheets, their_sheets) >= LEAST_COSINE
    scores = late.processor.score_retrieval(
        [torch.from_numpy(each) for each in their_queries],
        [torch.from_numpy(each) for each in their_sheets],
    ).numpy()
    for query, theirs in zip(queries, scores, strict=True):
        ours = [(query @ sheet.T).max(axis=1).sum() for sheet in sheets]
        assert np.abs(np.array(ours) - theirs).max() < 1e-3


def test_colqwen2_gives_what_the_reference_gives(
    qwen: Late, captions: list[str], pages: list[Image.Image]
) -> None:
    texts = ["", "a dog 😀 一只狗", *captions[:12]]
    texts = [one for one in texts if not qwen.torch.text.tokens_cut(one)]  # type: ignore[attr-defined]
    assert len(texts) > 4
    # The reference refuses pictures of 5 x 1,200 pixels.
    some = [page for page in pages if max(page.size) <= 200 * min(page.size)][:12]
    sheets, queries = _of_pages(qwen.torch, some), _of_queries(qwen.torch, texts)
    assert _least(queries, [qwen.query(text) for text in texts]) >= LEAST_COSINE
    assert _least(sheets, [qwen.page(image) for image in some]) >= LEAST_COSINE
    together = qwen.torch.encoders["image"].encode(some[:3])
    alone = [qwen.torch.encoders["image"].encode([one])[0] for one in some[:3]]
    assert np.allclose(together, np.stack(alone), atol=1e-5)
    assert np.isfinite(qwen.torch.encoders["image"].encode(pages[9:10])).all()


_WRONG_QWEN: list[tuple[str, dict[str, Any]]] = [
    ("text", {"query_suffix": ""}),
    ("text", {"query_prefix": ""}),
    ("image", {"filter": "bilinear"}),
    ("image", {"max_pixels": 30_000}),
    ("image", {"mean": [0.5, 0.5, 0.5]}),
    ("image", {"prompt": "<|vision_start|><|image_pad|><|vision_end|>Describe the image."}),
]


@pytest.mark.parametrize(("modality", "wrong"), _WRONG_QWEN)
def test_a_wrong_card_of_colqwen2_is_noticed(
    qwen: Late, pages: list[Image.Image], modality: Any, wrong: dict[str, Any]
) -> None:
    _is_noticed(qwen, pages, modality, wrong)


def test_a_colqwen2_batch_that_does_not_fit_is_halved(
    qwen: Late, pages: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    from trawl.encoders import torch_network

    whole = qwen.torch.encoders["image"].encode(pages[:4])
    forward = torch_network._forward
    monkeypatch.setattr(torch_network.TorchNetwork, "on_gpu", lambda _: True)

    def small(module: Any, device: Any, arrays: list[Any]) -> _Vectors:
        if arrays[-1].shape[-1] == 3 and len(arrays[-1]) > 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return forward(module, device, arrays)

    monkeypatch.setattr(torch_network, "_forward", small)
    assert np.allclose(qwen.torch.encoders["image"].encode(pages[:4]), whole, atol=1e-4)


def test_colqwen2_cannot_be_exported(qwen: Late, tmp_path: Path) -> None:
    from trawl.encoders.export import export

    with pytest.raises(ModelError, match="late-qwen cannot be exported; use the checkpoint"):
        export(qwen.checkpoint, tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()


def test_int8(late: Late, captions: list[str], pages: list[Image.Image], tmp_path: Path) -> None:
    from trawl.encoders.export import quantise

    quantise(late.model("onnx").card, tmp_path / "int8")
    model = load_model(str(tmp_path / "int8"))
    assert model.space.parts == late.torch.space.parts
    exact, found = (_of_pages(m, pages[:6]) for m in (late.torch, model))
    assert _least(found, exact) >= 0.95
    exact, found = (_of_queries(m, captions[:6]) for m in (late.torch, model))
    assert _least(found, exact) >= 0.95


def test_a_long_query_is_truncated_before_its_suffix(late: Late) -> None:
    tower: Any = late.torch.text
    long = "muon " * 200
    cut = tower.tokens_cut(long)
    assert cut > 0
    (ids,) = tower.prepare(long, query=True)
    assert len(ids) + 2 == 64
    assert ids[-10:] == tower.encoder._query_suffix
    (short,) = tower.prepare("muon", query=True)
    assert short[-10:] == ids[-10:]


def test_a_placeholder_in_a_query_is_left_out(late: Late) -> None:
    (ids,) = late.torch.text.prepare("a <image> dog", query=True)  # type: ignore[attr-defined]
    assert not set(ids) & set(late.torch.card.towers["text"].options["placeholder_ids"])


_WRONG: list[tuple[str, dict[str, Any]]] = [
    ("text", {"query_suffix": ""}),
    ("text", {"query_prefix": "Query: "}),
    ("text", {"prefix_ids": []}),
    ("text", {"suffix_ids": []}),
    ("image", {"filter": "bilinear"}),
    ("image", {"longest_px": 128}),
    ("image", {"mean": [0.4, 0.5, 0.5]}),
    ("image", {"prompt": "User:<image>Describe the image.<end_of_utterance>\nAssistant:"}),
]


@pytest.mark.parametrize(("modality", "wrong"), _WRONG)
def test_a_wrong_card_is_noticed(
    late: Late, pages: list[Image.Image], modality: Any, wrong: dict[str, Any]
) -> None:
    _is_noticed(late, pages, modality, wrong)


def _is_noticed(late: Late, pages: list[Image.Image], modality: Any, wrong: dict[str, Any]) -> None:
    card = late.torch.card
    altered = replace(card.towers[modality], options={**card.towers[modality].options, **wrong})
    model = Model(replace(card, towers={**card.towers, modality: altered}))
    if modality == "text":
        texts = ["muon decay", "two dogs"]
        assert _least(_of_queries(model, texts), [late.query(one) for one in texts]) < 0.999
    else:
        sheets = pages[:2]
        assert _least(_of_pages(model, sheets), [late.page(one) for one in sheets]) < 0.999


def test_a_library(late: Late, tmp_path: Path) -> None:
    """Pages of a PDF are pictures that words and pictures find; the library opens again."""
    paper = Path(trawl.__file__).parent / "examples" / "acoustics" / "tube-resonances.pdf"
    media, place = tmp_path / "media", tmp_path / "library"
    media.mkdir()
    (media / "muons.txt").write_text("A muon decays to an electron and two neutrinos. " * 30)
    (media / "paper.pdf").write_bytes(paper.read_bytes())
    Image.linear_gradient("L").resize((300, 200)).save(media / "grey.png")
    Image.new("RGB", (90, 400), "red").save(media / "red.png")
    name = late.torch.space.name
    source, profile = f"{name}.image", f"mini,{late.checkpoint}"
    with Library(place, create=True, profile=profile, freshness_s=0) as library:
        report = library.add(media)
        assert (report.added, report.failed) == (4, ())
        sheets = [c for c in library.show(media / "paper.pdf").chunks if c.modality == "image"]
        pages = {chunk.span.page for chunk in sheets if chunk.span.box is None}
        assert pages == set(range(1, max(pages) + 1)), "every page is a picture"
        answer = library.search("muon decay")
        sources = {one.source for hit in answer.hits for one in hit.evidence}
        assert source in sources
        assert f"{name}.text" not in sources
        found = library.search(image=media / "red.png", modality="image").hits
        assert found[0].uri.endswith("red.png")
        (evidence,) = [one for one in found[0].evidence if one.source == source]
        assert evidence.similarity == pytest.approx(1, abs=2e-3)
        like = library.search(like=found[0].chunk_id, modality="image").hits
        assert source in {one.source for hit in like for one in hit.evidence}
        both = library.search("a red page", image=media / "red.png").hits
        assert both[0].uri.endswith("red.png")
        assert source in {one.source for one in both[0].evidence}
        # Nothing is opposite to a set of vectors: the other model subtracts.
        red = Image.open(media / "red.png")
        less = library.search(parts=[QueryPart("image", red, -1.0), QueryPart("text", "muon")])
        assert source not in {one.source for hit in less.hits for one in hit.evidence}
    with Library(place) as again:
        assert [space.parts for space in again.status().spaces] == [1, 64]
        assert again.remove([media / "red.png"]) == 1
        hits = again.search(image=media / "red.png", modality="image").hits
        assert all(not hit.uri.endswith("red.png") for hit in hits)


def test_an_export_runs_without_torch(late: Late, tmp_path: Path) -> None:
    folder = late.model("onnx").card.towers["text"].directory
    media = tmp_path / "media"
    media.mkdir()
    (media / "muons.txt").write_text("A muon decays to an electron and two neutrinos.", "utf-8")
    Image.new("RGB", (90, 400), "red").save(media / "red.png")
    printed = without_torch(f"mini,{folder}", media, tmp_path / "library").split()
    assert printed[0] == "2"
    assert f"{late.exported[0].space.name}.image" in printed
