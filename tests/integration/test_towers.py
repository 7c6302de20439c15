"""Towers: windows, queries, padding, and image and audio preprocessing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers

from trawl.encoders import load_model
from trawl.encoders.cards import Tower
from trawl.encoders.images import Transform
from trawl.encoders.onnx_session import Arrays, OnnxNetwork
from trawl.encoders.sounds import LogMel
from trawl.encoders.texts import TextTower
from trawl.errors import ModelError
from trawl.types import Passage, Question, Sound, Space

WORDS = [f"w{number}" for number in range(100)]
START, END, PAD = 100, 101, 102
SPACE = Space("bag", 103, "0")


class Bag:
    """A network that counts token ids and records its inputs."""

    def __init__(self) -> None:
        self.fed: list[NDArray[np.int64]] = []
        self.gpu = False

    def on_gpu(self) -> bool:
        return self.gpu

    def run(self, feeds: Arrays) -> NDArray[np.float32]:
        ids, mask = feeds["input_ids"], feeds["attention_mask"]
        self.fed.append(ids)
        counts = np.zeros((len(ids), SPACE.dimension), np.float32)
        for row, (tokens, seen) in enumerate(zip(ids, mask, strict=True)):
            np.add.at(counts[row], tokens[seen == 1], 1)
        return counts


def _tower(folder: Path, **options: object) -> tuple[TextTower, Bag]:
    import hashlib

    tokenizer = Tokenizer(models.WordLevel({w: n for n, w in enumerate(WORDS)}, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    file = folder / "tokenizer.json"
    tokenizer.save(str(file))
    bag = Bag()
    card = {"max_tokens": 12, "prefix_ids": [START], "suffix_ids": [END], "pad_id": PAD}
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    tower = Tower("text", folder, {"tokenizer.json": digest}, card | options)
    return TextTower(tower, SPACE, bag), bag


def test_a_long_document_is_split_into_windows_without_loss(tmp_path: Path) -> None:
    tower, bag = _tower(tmp_path)
    assert tower.max_tokens == 10
    vector = tower.encode([" ".join(WORDS[:25])])[0]
    fed = np.concatenate(list(bag.fed))
    assert len(fed) == 3, "the fewest windows that hold it"
    assert all(ids[0] == START for ids in fed)
    lengths = [list(ids).index(END) - 1 for ids in fed]
    assert max(lengths) - min(lengths) <= 1, "of equal length"
    assert np.all(vector[:25] > 0), "every token counts"
    assert np.all(vector[25:100] == 0)


def test_a_vector_does_not_depend_on_the_batch(tmp_path: Path) -> None:
    tower, _ = _tower(tmp_path)
    alone = tower.encode(["w1 w2"])[0]
    beside = tower.encode(["w1 w2", " ".join(WORDS), ""])
    assert np.allclose(alone, beside[0])
    assert np.allclose(np.linalg.norm(beside, axis=1), 1, atol=1e-6)


def test_a_gpu_takes_texts_of_all_lengths_in_one_call(tmp_path: Path) -> None:
    tower, bag = _tower(tmp_path, max_tokens=40)
    texts = ["w1 w2", " ".join(WORDS), "", " ".join(WORDS[:17])]
    by_length = tower.encode(texts)
    assert len(bag.fed) > 1
    bag.fed.clear()
    bag.gpu = True
    assert np.allclose(tower.encode(texts), by_length)
    assert len(bag.fed) == 1


def test_a_long_query_is_truncated_and_counted(tmp_path: Path) -> None:
    tower, bag = _tower(tmp_path)
    text = " ".join(WORDS[:25])
    vector = tower.encode_queries([text])[0]
    assert np.count_nonzero(vector[:100]) == 10
    assert np.all(vector[:10] > 0)
    assert len(bag.fed) == 1
    assert tower.tokens_cut(text) == 15
    assert tower.tokens_cut("w1 w2") == 0


def test_prefixes_are_added_to_queries_and_to_every_window(tmp_path: Path) -> None:
    tower, bag = _tower(tmp_path, query_prefix="w98 ", document_prefix="w99 ")
    tower.encode_queries(["w1"])
    assert list(bag.fed.pop()[0, :4]) == [START, 98, 1, END]
    tower.encode([" ".join(WORDS[:25])])
    fed = np.concatenate(bag.fed)
    assert len(fed) == 3
    assert np.all(fed[:, 1] == 99)


def test_prompts_name_the_title_and_the_task(tmp_path: Path) -> None:
    tower, bag = _tower(
        tmp_path,
        query_prefix="w98 ",
        document_prefix="w97 {title} w96 ",
        tasks=["w95"],
        task_prefix="w94 {task} ",
    )
    tower.encode_queries([Question("w1", "w95"), Question("w1", "other"), "w1"])
    fed = bag.fed.pop()
    assert list(fed[0, :5]) == [START, 94, 95, 1, END]
    assert list(fed[1, :4]) == list(fed[2, :4]) == [START, 98, 1, END]
    tower.encode([Passage("w7\nw1", "w7", "w1")])
    assert list(bag.fed.pop()[0, :6]) == [START, 97, 7, 96, 1, END]
    tower.encode(["w1"])
    assert list(bag.fed.pop()[0, :6]) == [START, 97, 0, 96, 1, END], "none is no word here"


def test_padding_follows_the_card(tmp_path: Path) -> None:
    tower, bag = _tower(tmp_path, pad_to=12)
    tower.encode(["w5"])
    assert list(bag.fed.pop()[0]) == [START, 5, END] + [PAD] * 9
    left, bag = _tower(tmp_path, pad_to=12, pad_left=True)
    left.encode(["w5"])
    assert list(bag.fed.pop()[0]) == [PAD] * 9 + [START, 5, END]


def test_lower_case_and_punctuation_follow_the_card(tmp_path: Path) -> None:
    tower, bag = _tower(tmp_path, lower_case=True, strip_punctuation=True)
    tower.encode(["W5, (W6)!  w7."])
    assert list(bag.fed.pop()[0, :5]) == [START, 5, 6, 7, END]


@pytest.mark.parametrize("options", [{"pooling": "max"}, {"max_tokens": 2}])
def test_invalid_text_options_are_rejected(tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="in the model card"):
        _tower(tmp_path, **options)


IMAGE = {
    "size_px": 8,
    "resize": "shortest_edge",
    "crop_px": 8,
    "filter": "bicubic",
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
}


def test_images_are_cropped_to_the_centre() -> None:
    picture = Image.new("RGB", (30, 10), "white")
    picture.paste("black", (0, 0, 10, 10))
    picture.paste("black", (20, 0, 30, 10))
    pixels = Transform.from_options(IMAGE)(picture)
    assert pixels.shape == (3, 8, 8)
    assert np.min(pixels) > 0.5
    squashed = Transform.from_options(IMAGE | {"resize": "squash", "crop_px": 0})(picture)
    assert np.all(squashed[:, :, 0] < -0.5)
    assert np.all(squashed[:, :, 4] > 0.5)


def test_a_very_long_image_needs_little_memory() -> None:
    pixels = Transform.from_options(IMAGE | {"size_px": 224, "crop_px": 224})(
        Image.new("RGB", (100_000, 1), "white")
    )
    assert pixels.shape == (3, 224, 224)
    assert np.allclose(pixels, 1)


@pytest.mark.parametrize("change", [{"filter": "sharp"}, {"resize": "fit"}, {"mean": [1]}])
def test_invalid_image_options_are_rejected(change: dict[str, object]) -> None:
    with pytest.raises(ModelError, match=r"\[image\]"):
        Transform.from_options(IMAGE | change)


AUDIO = {
    "sample_rate_hz": 48_000,
    "window_s": 10.0,
    "fft_samples": 1024,
    "hop_samples": 480,
    "mel_bands": 64,
    "low_hz": 50.0,
    "high_hz": 14_000.0,
    "scale": "slaney",
}


@pytest.mark.parametrize("scale", ["slaney", "htk"])
def test_a_tone_is_in_its_band(scale: str) -> None:
    log_mel = LogMel.from_options(AUDIO | {"scale": scale})
    bands = []
    for frequency_hz in (200.0, 1_000.0, 5_000.0):
        time_s = np.arange(48_000) / 48_000
        tone = (0.5 * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32)
        picture = log_mel(tone)
        assert picture.shape == (1, 1001, 64)
        bands.append(int(np.argmax(picture[0, 500])))
    assert bands == sorted(set(bands))
    assert 10 * np.log10(1e-10) == pytest.approx(log_mel(np.zeros(48_000, np.float32)).max())


def test_long_sounds_are_split_into_equal_windows_and_short_ones_repeated() -> None:
    log_mel = LogMel.from_options(AUDIO)
    windows = log_mel.windows(Sound(np.ones(16_000 * 25, np.float32), 16_000))
    assert len(windows) == 3
    assert {len(window) for window in windows} == {400_000}
    short = log_mel(np.random.default_rng(1).normal(0, 0.1, 96_000).astype(np.float32))
    assert np.allclose(short[0, 100:150], short[0, 300:350], atol=1e-3), "repeated"
    with pytest.raises(ModelError, match="no samples"):
        log_mel.windows(Sound(np.zeros(0, np.float32), 48_000))


def test_cuda_is_requested_if_available_with_a_fallback_to_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a GPU, this tests the requested providers and the fallback to the CPU."""
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("CUDA is here, and whatever runs a graph runs on it")
    asked: list[list[str]] = []
    session = onnxruntime.InferenceSession

    def noted(path: str, options: object, *, providers: list[str]) -> object:
        asked.append(providers)
        return session(path, options, providers=providers)

    both = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "InferenceSession", noted)
    graph = load_model("mini").card.towers["image"].path("image.onnx")
    pixels = np.zeros((1, 112, 112, 3), np.uint8)
    alone = OnnxNetwork(lambda: graph).run({"pixels": pixels})
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: both)
    with pytest.warns(UserWarning, match="CUDAExecutionProvider"):
        beside = OnnxNetwork(lambda: graph).run({"pixels": pixels})
    assert asked == [["CPUExecutionProvider"], ["CUDAExecutionProvider", "CPUExecutionProvider"]]
    assert np.array_equal(alone, beside)
