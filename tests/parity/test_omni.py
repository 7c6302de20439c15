"""EmbeddingGemma 2 beside its reference: both backends, every tower, every dimension.

`make test` runs the transformers backend on some of the media, `make parity` both on all.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from PIL import Image

from trawl import Library
from trawl.encoders import Model, load_model
from trawl.encoders.base import unit
from trawl.encoders.cards import sha256_of
from trawl.encoders.export import describe_checkpoint
from trawl.encoders.omni import Captioned
from trawl.errors import ModelError, SpaceMismatchError, UsageError
from trawl.types import Passage, Sound

from .conftest import without_torch
from .test_parity import LEAST_CENTRED_COSINE, LEAST_COSINE, _agrees, _cosines

torch = pytest.importorskip("torch", reason="no torch: `make parity` installs it")
pytest.importorskip("transformers", reason="no transformers: `make parity` installs it")
pytest.importorskip("onnxscript", reason="no onnxscript: `make parity` installs it")

pytestmark = pytest.mark.timeout(900)

_Vectors = NDArray[np.float32]
_KINDS = ("query", "passage", "image", "audio", "captioned")
_EXTENTS = ("torch", "torch-full", "onnx-full")
_QUERY = "task: search result | query: "


@dataclass
class Reference:
    """What transformers gives for an input, and what it gave."""

    checkpoint: Path
    known: dict[str, list[_Vectors]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from transformers import AutoModel, AutoTokenizer
        from transformers.models.embedding_gemma2.processing_embedding_gemma2 import (
            EmbeddingGemma2Processor,
        )
        from transformers.models.gemma4.feature_extraction_gemma4 import Gemma4AudioFeatureExtractor
        from transformers.models.gemma4.image_processing_pil_gemma4 import Gemma4ImageProcessorPil

        class Processor(EmbeddingGemma2Processor):  # type: ignore[misc]  # it has no types here
            def check_argument_for_proper_class(self, *_: Any) -> None:
                """Accept that there is no processor of videos, which needs torchvision."""

        self.processor = Processor(
            Gemma4AudioFeatureExtractor(),
            Gemma4ImageProcessorPil(),
            AutoTokenizer.from_pretrained(self.checkpoint),
            None,
        )
        self.model = AutoModel.from_pretrained(self.checkpoint).eval().float()

    def __call__(self, **given: Any) -> _Vectors:
        """Return the unit vector [D] of one input: the mean of its tokens' states."""
        if "images" in given:
            # The reference guesses where the channels are, wrongly for 3 pixels.
            given["images_kwargs"] = {"input_data_format": "channels_last"}
            given["images"] = [[np.asarray(given["images"].convert("RGB"))]]
        inputs = self.processor(return_tensors="pt", **given)
        with torch.inference_mode():
            states = self.model(**inputs).last_hidden_state
        weights = inputs["attention_mask"][:, :, None].float()
        vector: _Vectors = unit(((states * weights).sum(1) / weights.sum(1)).numpy())[0]
        return vector

    def of(self, kind: str, items: Sequence[Any], tower: Any) -> _Vectors:
        """Return the vectors of the first items of a kind, each on its own."""
        known, give = self.known.setdefault(kind, []), getattr(self, f"_{kind}")
        known.extend(give(item, tower) for item in items[len(known) :])
        return np.stack(known[: len(items)])

    def _query(self, item: str, _: Any) -> _Vectors:
        return self(text=[_QUERY + item])

    def _passage(self, item: Passage, _: Any) -> _Vectors:
        return self(text=[f"title: {item.title_line or 'none'} | text: {item.body}"])

    def _image(self, item: Image.Image, _: Any) -> _Vectors:
        return self(images=item)

    def _captioned(self, item: Captioned, _: Any) -> _Vectors:
        return self(images=item.image, text=[f"<|image|> {item.text}"])

    def _audio(self, item: Sound, tower: Any) -> _Vectors:
        windows = tower.encoder.options.windows(item)
        assert max(map(len, windows)) <= 480_000
        vectors = np.stack([self(audio=[window]) for window in windows])
        return unit(vectors.mean(axis=0)[None])[0]


@dataclass
class Omni:
    checkpoint: Path
    reference: Reference
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


@pytest.fixture(scope="module")
def omni(tmp_path_factory: pytest.TempPathFactory) -> Omni:
    from . import small

    checkpoint = small.omni(tmp_path_factory.mktemp("omni") / "checkpoint")
    return Omni(checkpoint, Reference(checkpoint), load_model(str(checkpoint)))


@pytest.fixture(scope="module")
def media(
    captions: list[str], photos: list[Image.Image], sounds: list[Sound]
) -> dict[str, list[Any]]:
    long = " ".join(captions[:40])
    strips = [Image.linear_gradient("L").resize(size) for size in ((3, 480), (1200, 5))]
    pictures = [*strips, *photos[:30]]
    titles = ["", "Muons", "一只狗", "A <|image|> of  spaces "]
    passages = [Passage(f"{t}\n{c}", t, c) for t, c in zip(titles * 4, captions[-16:], strict=True)]
    found = {
        "query": [*captions[-7:], *captions[:13], long],
        "passage": [*passages, Passage(long * 2)],
        "image": pictures,
        "audio": [sound for sound in sounds if sound.duration_s >= 0.15],
        "captioned": [Captioned(p, c) for p, c in zip(pictures, captions[:20], strict=False) if c],
    }
    found["audio"].sort(key=lambda sound: sound.duration_s > 20)
    found["passage"] = [one for one in found["passage"] if "<|image|>" not in one.title_line]
    return found


def _given(model: Model, kind: str, items: Sequence[Any]) -> _Vectors:
    modality: Any = {"query": "text", "passage": "text", "captioned": "image"}.get(kind, kind)
    tower: Any = model.encoders[modality]
    vectors: _Vectors = (tower.encode_queries if kind == "query" else tower.encode)(items)
    return vectors


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize(
    ("backend", "some"), [("torch", True), ("torch", False), ("onnx", False)], ids=_EXTENTS
)
def test_gives_what_the_reference_gives(
    omni: Omni, media: dict[str, list[Any]], kind: str, backend: str, some: bool
) -> None:
    model = omni.model(backend)
    items = media[kind][:7] if some else media[kind]
    reference = omni.reference.of(kind, items, model.encoders["audio"])
    found = _given(model, kind, items)
    cosine, centred = _cosines(found, reference)
    assert cosine.min() >= LEAST_COSINE
    assert centred.min() >= LEAST_CENTRED_COSINE, "less what all have in common"
    for dimension in model.card.dimensions[-1:] if some else model.card.dimensions:
        short = _given(Model(model.card.shortened(dimension)), kind, items[:4])
        assert short.shape[1] == dimension
        assert np.allclose(short, unit(found[:4, :dimension]), atol=1e-4)
        assert _cosines(short, reference[:4, :dimension])[0].min() >= LEAST_COSINE


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_texts_of_8192_tokens_full(omni: Omni, captions: list[str], backend: str) -> None:
    text, tower = " ".join(captions * 4), omni.model(backend).text
    cut = tower.tokens_cut(text)  # type: ignore[attr-defined]
    assert cut > 0
    ids = omni.reference.processor.tokenizer(_QUERY + text).input_ids
    assert len(ids) == 8192 + cut
    shortened = omni.reference.processor.tokenizer.decode(ids[1 : 8192 - 1])
    vectors = _given(omni.model(backend), "query", [text, captions[0], captions[1]])
    reference = np.stack([omni.reference(text=[one]) for one in (shortened, _QUERY + captions[0])])
    assert np.sum(vectors[:2] * reference, axis=1).min() >= LEAST_COSINE


def test_a_placeholder_in_a_text_is_left_out(omni: Omni) -> None:
    tower: Any = omni.torch.text
    (ids,) = tower.prepare("a <|image|> dog")
    assert not set(ids) & set(omni.torch.card.towers["text"].options["placeholder_ids"])
    assert np.isfinite(tower.encode(["a <|image|> dog"])).all()


def test_a_caption_changes_the_vector(omni: Omni, photos: list[Image.Image]) -> None:
    photo = photos[1]
    alone, dog, cat = _given(
        omni.torch, "captioned", [photo, Captioned(photo, "a dog"), Captioned(photo, "a muon")]
    )
    assert max(alone @ dog, dog @ cat) < 0.9999


WRONG: list[tuple[str, str, dict[str, Any]]] = [
    ("query", "text", {"query_prefix": ""}),
    ("query", "text", {"query_prefix": "task: fact checking | query: "}),
    ("query", "text", {"pooling": "cls"}),
    ("query", "text", {"pooling": "last"}),
    ("query", "text", {"prefix_ids": []}),
    ("query", "text", {"suffix_ids": []}),
    ("passage", "text", {"document_prefix": "title: none | text: "}),
    ("image", "image", {"filter": "bilinear"}),
    ("image", "image", {"max_soft_tokens": 140}),
    ("image", "image", {"begin_id": 3}),
    ("image", "image", {"end_id": 3}),
    ("audio", "audio", {"scale": "slaney"}),
    ("audio", "audio", {"lead_samples": 0}),
    ("audio", "audio", {"floor": 1e-2}),
    ("audio", "audio", {"high_hz": 7600.0}),
    ("audio", "audio", {"end_id": 3}),
]


@pytest.mark.parametrize(("kind", "modality", "wrong"), WRONG)
def test_a_wrong_card_is_noticed(
    omni: Omni, media: dict[str, list[Any]], kind: str, modality: Any, wrong: dict[str, Any]
) -> None:
    card = omni.torch.card
    altered = replace(card.towers[modality], options={**card.towers[modality].options, **wrong})
    model = Model(replace(card, towers={**card.towers, modality: altered}))
    reference = omni.reference.of(kind, media[kind], omni.torch.encoders["audio"])
    assert not _agrees(_given(model, kind, media[kind]), reference)


def test_pictures_need_the_positions_of_padding_wrong(
    omni: Omni, media: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from trawl.encoders.omni import Patches

    feeds = Patches.feeds

    def without(self: Patches, pictures: Sequence[Any]) -> dict[str, Any]:
        made = feeds(self, pictures)
        made["pixel_position_ids"] = np.maximum(made["pixel_position_ids"], 0)
        return made

    monkeypatch.setattr(Patches, "feeds", without)
    items = media["image"]
    reference = omni.reference.of("image", items, None)
    assert not _agrees(_given(omni.torch, "image", items), reference)


@pytest.mark.parametrize("modality", ["text", "image", "audio"])
def test_a_module_has_its_own_tower_only(omni: Omni, modality: Any) -> None:
    from trawl.encoders.torch_network import load_module

    names = {n for n, _ in load_module(omni.checkpoint, "omni", modality).named_parameters()}
    towers = {"image": "patch_embedder", "audio": "subsample", "text": "embed_tokens"}
    assert [key for key, part in towers.items() if any(part in n for n in names)] == [modality]


def test_a_batch_that_does_not_fit_is_halved(
    omni: Omni, photos: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    from trawl.encoders import omni as family
    from trawl.encoders import torch_network

    pictures, forward = photos[:5], torch_network._forward
    whole = _given(omni.torch, "image", pictures)
    on_gpu: Callable[[Any], bool] = lambda _: True  # noqa: E731
    monkeypatch.setattr(torch_network.TorchNetwork, "on_gpu", on_gpu)
    assert family._MEDIA_PER_CALL > 2

    def small(module: Any, device: Any, arrays: list[Any]) -> _Vectors:
        if len(arrays[0]) > 2:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return forward(module, device, arrays)

    monkeypatch.setattr(torch_network, "_forward", small)
    assert np.allclose(_given(omni.torch, "image", pictures), whole, atol=1e-4)


def test_int8(omni: Omni, media: dict[str, list[Any]], tmp_path: Path) -> None:
    from trawl.encoders.export import quantise

    quantise(omni.model("onnx").card, tmp_path / "int8")
    model = load_model(str(tmp_path / "int8"))
    for kind in _KINDS:
        items = media[kind][:8]
        reference = omni.reference.of(kind, items, omni.torch.encoders["audio"])
        assert _cosines(_given(model, kind, items), reference)[0].min() >= 0.98, kind


def test_a_library(omni: Omni, tmp_path: Path) -> None:
    """Add, search, show the status and open again; another dimension is refused."""
    media = tmp_path / "media"
    media.mkdir()
    (media / "muons.txt").write_text("A muon decays to an electron and two neutrinos. " * 30)
    Image.linear_gradient("L").resize((300, 200)).save(media / "grey.png")
    Image.new("RGB", (90, 400), "red").save(media / "red.png")
    rng = np.random.default_rng(3)
    tone = np.sin(np.arange(32_000) * 0.2).astype(np.float32)
    soundfile.write(media / "tone.wav", tone, 16_000)
    soundfile.write(media / "noise.wav", rng.normal(0, 0.1, 48_000), 16_000)

    folder, short = str(omni.checkpoint), omni.torch.card.dimensions[1]
    name = omni.torch.space.name
    with pytest.raises(ModelError, match=r"no vectors of 60 dimensions; choose from 96, 64"):
        Library(tmp_path / "none", create=True, profile=folder, dimension=60)
    place = tmp_path / "library"
    with Library(place, create=True, profile=folder, dimension=short, freshness_s=0) as library:
        report = library.add(media)
        assert (report.added, report.failed) == (5, ())
        found = library.search(image=media / "red.png", modality="image").hits
        assert found[0].uri.endswith("red.png")
        assert f"{name}.image" in {one.source for one in found[0].evidence}
        found = library.search(audio=media / "tone.wav", modality="audio").hits
        assert found[0].uri.endswith("tone.wav")
        answer = library.search("muon decay", task="question answering")
        assert {hit.modality for hit in answer.hits} == {"text", "image", "audio"}
        sources = {one.source for hit in answer.hits for one in hit.evidence}
        assert {f"{name}.{kind}" for kind in ("text", "image", "audio")} <= sources
        with pytest.raises(UsageError, match=r"no prompt for the task 'poetry'.*fact checking"):
            library.search("muon decay", task="poetry")
        assert [space.dimension for space in library.status().spaces] == [short]

    with Library(place) as again:
        assert [space.dimension for space in again.status().spaces] == [short]
        assert (
            again.search(image=media / "red.png", modality="image").hits[0].uri.endswith("red.png")
        )
    with Library(place, dimension=short):
        pass
    with pytest.raises(SpaceMismatchError, match=f"with {short} dimensions, not 96"):
        Library(place, dimension=96)


def test_an_export_runs_without_torch_full(omni: Omni, tmp_path: Path) -> None:
    folder = omni.model("onnx").card.towers["text"].directory
    media = tmp_path / "media"
    media.mkdir()
    (media / "muons.txt").write_text("A muon decays to an electron and two neutrinos.", "utf-8")
    Image.new("RGB", (90, 400), "red").save(media / "red.png")
    soundfile.write(media / "tone.wav", np.sin(np.arange(32_000) * 0.2), 16_000)
    printed = without_torch(str(folder), media, tmp_path / "library").split()
    name = omni.exported[0].space.name
    assert printed[0] == "3"
    assert {f"{name}.{kind}" for kind in ("text", "image", "audio")} <= set(printed)


def test_a_library_without_the_tower_of_sounds(omni: Omni, tmp_path: Path) -> None:
    """A sound fails with what to download; texts and pictures are added and found."""
    models = tmp_path / "models"
    model, media = models / "omni", tmp_path / "media"
    model.mkdir(parents=True)
    media.mkdir()
    card = describe_checkpoint(omni.checkpoint)
    for file in ("model.safetensors", "tokenizer.json"):
        os.link(omni.checkpoint / file, model / file)
        card = card.replace(f'"{file}" = "{sha256_of(model / file)}"', f'"{file}" = ""')
    for file in ("config.json", "tokenizer_config.json"):
        shutil.copy(omni.checkpoint / file, model / file)
    # As if the tower of sounds were in a file of its own.
    before, audio = card.split("[audio]\n")
    card = f"{before}[audio]\n{audio.replace('model.safetensors', 'audio.safetensors')}"
    card = card.replace("[audio]\n", "[audio]\nsize_mb = 7\n", 1)
    card = card.replace(
        "[space]",
        '[source]\nrepository = "owner/model"\nrevision = "main"\nsize_mb = 9\n\n[space]',
        1,
    )
    card = re.sub('^name = ".*?"', 'name = "omni"', card, flags=re.MULTILINE)
    folder = tmp_path / "cards"
    folder.mkdir()
    (folder / "card.toml").write_text(card, "utf-8")
    files = {file: sha256_of(model / file) for file in ("model.safetensors", "tokenizer.json")}
    (model / "installed.json").write_text(json.dumps({"commit": "1", "files": files}), "utf-8")

    (media / "muons.txt").write_text("A muon decays to an electron and two neutrinos.")
    Image.new("RGB", (90, 400), "red").save(media / "red.png")
    soundfile.write(media / "tone.wav", np.sin(np.arange(32_000) * 0.2), 16_000)
    place = tmp_path / "library"
    with Library(
        place, create=True, profile=str(folder), model_dir=models, freshness_s=0
    ) as library:
        report = library.add(media)
        assert report.added == 2
        (failed,) = report.failed
        assert failed.uri.endswith("tone.wav")
        assert re.search(
            r"audio tower .*\(7 MB\).*trawl models pull omni --tower audio", failed.reason
        )
        assert len(library.search("muon").hits) == 2
