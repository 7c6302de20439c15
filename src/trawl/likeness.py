"""Decide whether two pictures, or two passages, are nearly the same.

A *print* is a small summary of a picture or passage that is stored with its chunk. Of a picture, it
is the picture itself in 32 x 32 grey levels; of a passage, a MinHash of its words (Broder 1997).
Nearly the same are copies that were resized, compressed, lightened, cropped or edited a little.
Pictures of one subject, plots of one kind and texts on one topic are not.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

Floats: TypeAlias = NDArray[np.float32]

_SIDE = 32
_BLOCK = 4
PICTURE_BYTES = _SIDE * _SIDE

# A picture's blocks may differ by this share of their own contrast. In graphics the same
# frame around other data is common, so they have to agree much better than photographs.
_PHOTO_DIFFERS, _GRAPHIC_DIFFERS = 0.7, 0.25
# Share of the pixels of a graphic that have one grey level, that of the paper.
_PAPER = 0.25
# The correlation of the pictures in 8 x 8 pixels below which they are not compared.
_LEAST_ALIKE = 0.6
# The squared difference of normalised pictures above which a search for a crop is given up.
_HOPELESS = 0.6
# A crop shows at least this share of the width and of the height.
_SMALLEST_CROP = 0.78

# Prints are joined when they are in many parts, and at once while they are few.
_MAX_PARTS, _FEW = 16, 64

HASHES = 64
TEXT_BYTES = HASHES * 4
# Factors of the three words of a sequence, modulo 2 to the 64.
_MIX = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], np.uint64)
_MIN_WORDS = 12
_WORD = re.compile(r"\w+")
_TEXT_SHARED = 0.75
# The estimated share from prints has a standard error of 0.05.
_MAY_SHARE = _TEXT_SHARED - 0.15


# --- many prints -----------------------------------------------------------------------


class Prints:
    """The prints of many pictures or of many passages, to find those that may be the same.

    Prints have equal lengths, `PICTURE_BYTES` or `TEXT_BYTES`.
    """

    def __init__(self, prints: Sequence[bytes] = ()) -> None:
        self._parts: list[NDArray[Any]] = []
        self._pending: list[bytes] = []
        self.extend(prints)

    def __len__(self) -> int:
        return sum(map(len, self._parts)) + len(self._pending)

    def extend(self, prints: Iterable[bytes]) -> None:
        """Add prints."""
        self._pending += prints

    def like(self, printed: bytes) -> NDArray[np.int64]:
        """Return the places of the prints that may be the same, ascending. Few of them are not."""
        if self._pending:
            self._parts.append(np.stack([_summary(one) for one in self._pending]))
            self._pending = []
        if len(self._parts) > _MAX_PARTS or len(self) <= _FEW:
            self._parts = [np.concatenate(self._parts)] if self._parts else []
        wanted = _summary(printed)
        if len(printed) == TEXT_BYTES:
            fewest = _MAY_SHARE * HASHES
            shared = [np.count_nonzero(part == wanted, axis=1) >= fewest for part in self._parts]
        else:
            shared = [part @ wanted >= _LEAST_ALIKE * len(wanted) for part in self._parts]
        return np.flatnonzero(np.concatenate(shared)) if shared else np.zeros(0, np.int64)


@lru_cache(maxsize=4_096)
def _summary(printed: bytes) -> NDArray[Any]:
    """Return a passage's hashes, uint32 [64], or a picture in 8 x 8 pixels, float32 [64]."""
    if len(printed) == TEXT_BYTES:
        return np.frombuffer(printed, "<u4")
    return _coarse(_levels(printed)).ravel()


# --- pictures --------------------------------------------------------------------------


def picture_print(image: Image) -> bytes:
    """Return the print of a picture, `PICTURE_BYTES` long; b"" if it is of one colour."""
    grey = image.convert("L").resize((_SIDE, _SIDE), resample=4)  # the mean of each box
    levels = np.asarray(grey, np.uint8)
    return levels.tobytes() if int(levels.max()) - int(levels.min()) > 8 else b""


@lru_cache(maxsize=2_048)
def same_picture(one: bytes, other: bytes) -> bool:
    """Return whether two pictures are nearly the same, from their prints."""
    if not one or not other:
        return False
    first, second = _levels(one), _levels(other)
    if float((_coarse(first) * _coarse(second)).mean()) < _LEAST_ALIKE:
        return False
    graphic = _is_graphic(first) or _is_graphic(second)
    limit = _GRAPHIC_DIFFERS if graphic else _PHOTO_DIFFERS
    if _difference(first, second) <= limit:
        return True
    # Crops of graphics are not told from graphics of one kind at this size.
    return not graphic and any(
        _crop_differs(a, b) <= limit for a, b in ((first, second), (second, first))
    )


def _levels(printed: bytes) -> Floats:
    return _normal(np.frombuffer(printed, np.uint8).reshape(_SIDE, _SIDE).astype(np.float32))


def _normal(levels: Floats) -> Floats:
    deviation = max(float(levels.std()), 1e-3)
    return np.asarray((levels - levels.mean()) / deviation, np.float32)


def _is_graphic(levels: Floats) -> bool:
    """Return whether a picture has much paper: pixels of the same, very light or dark, level."""
    _, counts = np.unique(np.round(levels * 12), return_counts=True)
    return int(counts.max()) > _PAPER * levels.size


def _difference(one: Floats, other: Floats) -> float:
    """Return by what share of their contrast the worst blocks of two pictures differ."""
    blocks = _SIDE // _BLOCK

    def split(levels: Floats) -> Floats:
        return levels.reshape(blocks, _BLOCK, blocks, _BLOCK)

    differ = split((one - other) ** 2).mean((1, 3))
    contrast = np.maximum(split(one).var((1, 3)), split(other).var((1, 3)))
    return float(np.max(differ / (contrast + 0.05)))


def _coarse(levels: Floats) -> Floats:
    return _normal(levels.reshape(8, _SIDE // 8, 8, _SIDE // 8).mean((1, 3)))


def _crop_differs(whole: Floats, part: Floats) -> float:
    """Return how `part` differs from the crop of `whole` that fits it best.

    The width, height and position of the crop are found by least squares (Lucas and Kanade 1981).
    """
    fit = np.array([0.94, 0.94, 0.0, 0.0])
    best, least = whole, np.inf
    sizes = np.array([0.01, 0.01, 0.005, 0.005])
    steps = np.vstack([np.zeros(4), np.diag(sizes)])
    for step_number in range(14):
        crops = _cropped(whole, fit + steps)
        found = crops[0]
        error = (part - found).ravel()
        if float(error @ error) < least:
            least, best = float(error @ error), found
        if step_number == 3 and least > _HOPELESS * part.size:
            return np.inf
        slopes = (crops[1:] - found).reshape(4, -1) / sizes[:, None]
        change = np.linalg.solve(slopes @ slopes.T + 0.01 * np.eye(4), slopes @ error)
        fit = fit + np.clip(change, -0.06, 0.06)
        fit[:2] = np.clip(fit[:2], _SMALLEST_CROP, 1.0)
        fit[2:] = np.clip(fit[2:], -0.12, 0.12)
        if float(np.abs(change).max()) < 1e-3:
            break
    return _difference(best, part)


def _cropped(levels: Floats, fits: NDArray[np.float64]) -> Floats:
    """Return the normalised crops of a picture, [N, 32, 32], one for each row of `fits`, [N, 4]."""
    reads = _sampling(fits[:, :2], fits[:, 2:])
    crops = (reads[:, 0] @ levels @ reads[:, 1].transpose(0, 2, 1)).reshape(len(fits), -1)
    crops -= crops.mean(axis=1, keepdims=True)
    deviations = np.sqrt(np.einsum("np,np->n", crops, crops) / crops.shape[1])
    crops /= np.maximum(deviations, 1e-3)[:, None]
    return np.asarray(crops.reshape(-1, _SIDE, _SIDE))


def _sampling(shares: NDArray[np.float64], shifts: NDArray[np.float64]) -> Floats:
    """Return the matrices, [..., 32, 32], that read a share of a line, linearly interpolated."""
    middle = (_SIDE - 1) / 2
    along = shares[..., None] * (np.arange(_SIDE) - middle) + middle + shifts[..., None] * _SIDE
    places = np.clip(along, 0, _SIDE - 1.001)
    # The weight of a pixel falls from 1 at the place to 0 at its neighbours.
    away = np.abs(places[..., None] - np.arange(_SIDE))
    return np.asarray(np.maximum(1 - away, 0), np.float32)


# --- passages --------------------------------------------------------------------------


def text_print(text: str) -> bytes:
    """Return the print of a passage, `TEXT_BYTES` long; b"" if it is too short to compare."""
    shingles = _shingles(text)
    if not len(shingles):
        return b""
    factors, offsets = _family()
    hashes = (shingles[:, None] * factors + offsets) >> np.uint64(32)  # modulo 2 to the 64
    return bytes(hashes.min(0).astype("<u4").tobytes())


def same_text(one: str, other: str) -> bool:
    """Return whether two passages share three quarters of their sequences of three words."""
    first, second = _shingles(one), _shingles(other)
    if not len(first) or not len(second):
        return False
    shared = len(np.intersect1d(first, second, assume_unique=True))
    return shared >= _TEXT_SHARED * (len(first) + len(second) - shared)


def _shingles(text: str) -> NDArray[np.uint64]:
    """Return the hashes of the sequences of three words, ascending; none for a few words."""
    words = _WORD.findall(text.casefold())
    if len(words) < _MIN_WORDS:
        return np.zeros(0, np.uint64)
    found = np.array([zlib.crc32(word.encode("utf-8", "replace")) for word in words], np.uint64)
    mixed = found[:-2] * _MIX[0] + found[1:-1] * _MIX[1] + found[2:] * _MIX[2]
    return np.unique(mixed)


@cache
def _family() -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the factors and offsets of the hash functions, uint64 [64] each."""
    chosen = np.random.default_rng(0)
    factors = chosen.integers(0, 1 << 63, HASHES, np.uint64) | np.uint64(1)
    return factors, chosen.integers(0, 1 << 63, HASHES, np.uint64)
