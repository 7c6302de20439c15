"""Find the figures and tables of a page: match captions with what is above or below them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

from trawl.readers.pdf.captions import Caption, FloatKind, label_of
from trawl.readers.pdf.figures import Candidate, figure_candidates, loose_pictures, with_leftovers
from trawl.readers.pdf.geometry import Box, turned_back, upright
from trawl.readers.pdf.grids import grid_of
from trawl.readers.pdf.lines import Line
from trawl.readers.pdf.objects import PageObject
from trawl.readers.pdf.pages import PageContent
from trawl.readers.pdf.prose import size_of_most, sizes_of
from trawl.readers.pdf.scene import Scene, has_centre, overlap, scene_of
from trawl.readers.pdf.tables import table_candidates

_MOST_COMBINATIONS = 20_000
_HABIT_BONUS = 0.2


@dataclass(slots=True)
class Float:
    """A figure or table. `label` and `caption` are "" for a picture without caption.

    `box` holds the picture or the table without its caption, whose box is `caption_box`.
    `rows` are the cells of a table; empty if it has no text layer. `words` are the text inside.
    `angle` is that of the caption: 0, or 90 or 270 degrees against the clock if it is sideways.
    """

    kind: FloatKind
    label: str
    caption: str
    box: Box
    caption_box: Box | None
    rows: tuple[tuple[str, ...], ...] = ()
    words: str = ""
    angle: int = 0


class FloatFinder:
    """Finds floats page by page.

    It learns the font size of the document's running text, from pages that are looked ahead at,
    and on which side of its figures the document has its captions.
    """

    def __init__(self) -> None:
        self._sizes: Counter[float] = Counter()
        self._sides: Counter[tuple[FloatKind, str]] = Counter()
        self._pictures: set[tuple[int, ...]] = set()

    def look_ahead(self, lines: Sequence[Line]) -> None:
        """Count the font sizes of a page that is taken later."""
        self._sizes.update(sizes_of(lines))

    def find(
        self,
        content: PageContent,
        objects: Sequence[PageObject],
        body_size: float | None = None,
    ) -> list[Float]:
        """Return the floats of a page, from the top. `body_size` replaces the learned one.

        Leave out the headers and footers of `content` where they are known. A picture without
        caption at the place of one on an earlier page is taken for a logo.
        """
        if not objects and not content.lines:
            return []
        if not self._sizes:
            self.look_ahead(content.lines)
        size = body_size or size_of_most(self._sizes)
        found = self._level(content, objects, size)
        for angle in (90, 270):
            if any(line.angle == angle and label_of(line.text) for line in content.lines):
                found += self._sideways(content, objects, size, angle, found)
        return sorted(found, key=lambda each: (each.box[1], each.box[0]))

    def _sideways(
        self,
        content: PageContent,
        objects: Sequence[PageObject],
        size: float,
        angle: int,
        others: Sequence[Float],
    ) -> list[Float]:
        """Return the floats whose captions read upwards (90) or downwards (270)."""
        page = content.width, content.height
        lines = [_turned(line, angle, *page) for line in content.lines]
        turned = PageContent(content.number, content.height, content.width, lines)
        boxes = [replace(each, box=upright(each.box, angle, *page)) for each in objects]
        found = []
        for each in self._level(turned, boxes, size):
            box = turned_back(each.box, angle, *page)
            if not each.label or any(has_centre(other.box, box) for other in others):
                continue
            caption = each.caption_box and turned_back(each.caption_box, angle, *page)
            found.append(replace(each, box=box, caption_box=caption, angle=angle))
        return found

    def _level(
        self, content: PageContent, objects: Sequence[PageObject], size: float
    ) -> list[Float]:
        """Return the floats whose captions are level."""
        scene = scene_of(content.lines, objects, content.width, content.height, size)
        tables = self._matched(
            [(c, table_candidates(scene, c)) for c in scene.captions if c.kind == "table"]
        )
        taken = [candidate.box for _, candidate in tables]
        figures = self._matched(
            [(c, figure_candidates(scene, c, taken)) for c in scene.captions if c.kind == "figure"]
        )
        figures = with_leftovers(scene, figures, taken)
        found = [_float(scene, caption, each) for caption, each in (*tables, *figures)]
        for caption, each in (*tables, *figures):
            self._sides[caption.kind, each.side] += 1
        for box in loose_pictures(scene, [each.box for each in found]):
            place = tuple(round(value / 4) for value in box)
            if place in self._pictures:
                continue
            self._pictures.add(place)
            found.append(Float("figure", "", "", box, None))
        return found

    def _matched(
        self, offers: Sequence[tuple[Caption, list[Candidate]]]
    ) -> list[tuple[Caption, Candidate]]:
        """Choose at most one candidate for each caption, without overlaps, of the best sum."""
        for caption, candidates in offers:
            for each in candidates:
                other = "below" if each.side == "above" else "above"
                mine = self._sides[caption.kind, each.side]
                theirs = self._sides[caption.kind, other]
                if mine != theirs:
                    each.score += _HABIT_BONUS if mine > theirs else -_HABIT_BONUS
        chosen: list[tuple[Caption, Candidate]] = []
        for group in _groups(offers):
            chosen += _best(group)
        return _unique_labels(chosen)


def _turned(line: Line, angle: int, width: float, height: float) -> Line:
    """Return a line on a page that is turned so that text at `angle` is level."""
    words = [
        replace(word, box=upright(word.box, angle, width, height), angle=(word.angle - angle) % 360)
        for word in line.words
    ]
    box = upright(line.box, angle, width, height)
    return replace(line, words=words, box=box, angle=(line.angle - angle) % 360)


def _groups(
    offers: Sequence[tuple[Caption, list[Candidate]]],
) -> list[list[tuple[Caption, list[Candidate]]]]:
    """Split offers into groups whose candidates do not touch those of others."""
    groups: list[list[tuple[Caption, list[Candidate]]]] = []
    for offer in offers:
        if not offer[1]:
            continue
        touching = [
            group
            for group in groups
            if any(clash(a, b) for _, c in group for a in c for b in offer[1])
        ]
        merged = [each for group in touching for each in group]
        groups = [group for group in groups if group not in touching]
        groups.append([*merged, offer])
    return groups


def _best(group: list[tuple[Caption, list[Candidate]]]) -> list[tuple[Caption, Candidate]]:
    combinations = 1
    for _, candidates in group:
        combinations *= len(candidates) + 1
    if combinations > _MOST_COMBINATIONS:
        group = [(caption, candidates[:1]) for caption, candidates in group][:14]
    best: tuple[float, list[tuple[Caption, Candidate]]] = (0.0, [])
    for choice in product(*([None, *candidates] for _, candidates in group)):
        picked = [
            (caption, each)
            for (caption, _), each in zip(group, choice, strict=True)
            if each is not None
        ]
        score = sum(each.score for _, each in picked)
        if score <= best[0]:
            continue
        if any(clash(picked[i][1], picked[j][1]) for i in range(len(picked)) for j in range(i)):
            continue
        best = score, picked
    return best[1]


def clash(one: Candidate, other: Candidate) -> bool:
    """Return whether two candidates overlap by more than a margin."""
    across, down = overlap(one.box, other.box, 0), overlap(one.box, other.box, 1)
    return across > 3 and down > 3


def _unique_labels(chosen: list[tuple[Caption, Candidate]]) -> list[tuple[Caption, Candidate]]:
    """Keep the best of several floats with one label on a page."""
    best: dict[str, tuple[Caption, Candidate]] = {}
    for caption, each in chosen:
        held = best.get(caption.label)
        if held is None or (caption.sure, each.score) > (held[0].sure, held[1].score):
            best[caption.label] = caption, each
    return list(best.values())


def _float(scene: Scene, caption: Caption, each: Candidate) -> Float:
    rows: tuple[tuple[str, ...], ...] = ()
    if caption.kind == "table":
        rows = grid_of(scene, each.box)
    words = " ".join(
        word.text for line in scene.lines for word in line.words if has_centre(each.box, word.box)
    )
    return Float(caption.kind, caption.label, caption.text, each.box, caption.box, rows, words)
