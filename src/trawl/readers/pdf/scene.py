"""A page sorted into running text, captions, text boxes and groups of objects."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from trawl.readers.pdf.captions import Caption, Run, find_captions, runs_of
from trawl.readers.pdf.clusters import Cluster, clusters_of, is_rule, is_upright_rule
from trawl.readers.pdf.geometry import Box
from trawl.readers.pdf.lines import Line
from trawl.readers.pdf.objects import PageObject
from trawl.readers.pdf.prose import Column, columns_of, prose_of, with_ends

_CLUSTER_GAP_PT = 10.0
_BACKGROUND_SHARE = 0.8
_FRAME_LINES = 3
_SMALL_PT2 = 100.0


@dataclass(slots=True)
class Frame:
    """A box around or behind running text, with the indexes of its lines."""

    box: Box
    objects: list[PageObject]
    lines: set[int]


@dataclass(slots=True)
class Scene:
    """The parts of a page. `prose` are indexes of lines, without those inside `frames`.

    `loose` are runs of text that are neither running text nor captions; `turned` lines are at an
    angle. `clusters` are groups of objects without backgrounds and text boxes. A `scan` is a
    picture of the whole page behind its text.
    """

    width: float
    height: float
    body_size: float
    lines: Sequence[Line]
    columns: list[Column]
    captions: list[Caption]
    prose: set[int]
    frames: list[Frame] = field(default_factory=list)
    loose: list[Run] = field(default_factory=list)
    turned: list[Line] = field(default_factory=list)
    clusters: list[Cluster] = field(default_factory=list)
    rules: list[PageObject] = field(default_factory=list)
    scan: bool = False

    @property
    def area(self) -> float:
        """The area of the page in square points."""
        return self.width * self.height


def scene_of(
    lines: Sequence[Line],
    objects: Sequence[PageObject],
    width: float,
    height: float,
    size: float,
) -> Scene:
    """Sort the parts of a page. `size` is the font size of the document's running text."""
    columns = columns_of(lines, size)
    captions = find_captions(lines, size)
    captioned = {id(word) for each in captions for words in each.lines for word in words}
    in_captions = {
        number
        for number, line in enumerate(lines)
        if any(id(word) in captioned for word in line.words)
    }
    prose = prose_of(lines, size, columns, in_captions)
    scene = Scene(width, height, size, lines, columns, captions, prose)
    kept = [each for each in objects if not _is_background(each, scene)]
    scene.scan = any(each.kind == "image" and each not in kept for each in objects)
    rules = [each for each in kept if is_rule(each)]
    kept = [each for each in kept if not _is_separator(each, rules, scene)]
    kept = _without_marks(kept, scene)
    kept = _without_frames(kept, scene)
    framed = set().union(*(frame.lines for frame in scene.frames))
    scene.prose = with_ends(lines, scene.prose, in_captions | framed)
    scene.rules = [each for each in kept if is_rule(each) or is_upright_rule(each)]
    scene.clusters = clusters_of(kept, width, height, _CLUSTER_GAP_PT)
    scene.prose -= _small_text_of_figures(scene)
    scene.loose = [
        run
        for run in runs_of(lines)
        if run.line not in scene.prose
        and run.line not in framed
        and not any(id(word) in captioned for word in run.words)
    ]
    scene.turned = [line for line in lines if line.angle]
    return scene


def overlap(one: Box, other: Box, axis: int) -> float:
    """Return how far two boxes overlap along x (axis 0) or y (1); negative is their distance."""
    return min(one[axis + 2], other[axis + 2]) - max(one[axis], other[axis])


def contains(outer: Box, inner: Box, slack: float = 2.0) -> bool:
    """Return whether a box lies inside another one."""
    return (
        inner[0] >= outer[0] - slack
        and inner[1] >= outer[1] - slack
        and inner[2] <= outer[2] + slack
        and inner[3] <= outer[3] + slack
    )


def has_centre(outer: Box, inner: Box) -> bool:
    """Return whether the centre of a box lies inside another one."""
    x, y = (inner[0] + inner[2]) / 2, (inner[1] + inner[3]) / 2
    return outer[0] <= x <= outer[2] and outer[1] <= y <= outer[3]


def _is_background(each: PageObject, scene: Scene) -> bool:
    share = each.width * each.height / scene.area
    if share < _BACKGROUND_SHARE:
        return False
    return each.kind != "image" or len(scene.prose) >= 5


def _is_separator(each: PageObject, rules: Sequence[PageObject], scene: Scene) -> bool:
    """Return whether an object is a line between columns, or below a header.

    A rule with others of its width nearby is that of a table at the top or end of the page.
    """
    if is_rule(each):
        at_edge = not 0.1 * scene.height < each.box[1] < 0.92 * scene.height
        return (
            at_edge
            and each.width > 0.4 * scene.width
            and not any(
                2 < abs(rule.box[1] - each.box[1]) < 200
                and abs(rule.box[0] - each.box[0]) < 4
                and abs(rule.box[2] - each.box[2]) < 4
                for rule in rules
            )
        )
    if not is_upright_rule(each) or each.height < 0.35 * scene.height:
        return False
    return not any(c.left - 3 < each.box[0] < c.right + 3 for c in scene.columns)


def _without_marks(objects: Sequence[PageObject], scene: Scene) -> list[PageObject]:
    """Return the objects that do not underline or highlight running text."""
    boxes = sorted(
        (line.box for line in map(scene.lines.__getitem__, scene.prose)), key=lambda box: box[1]
    )
    tops = [box[1] for box in boxes]
    most = 2.5 * scene.body_size

    def marks(each: PageObject) -> bool:
        if each.kind == "image" or each.height > most:
            return False
        middle = (each.box[1] + each.box[3]) / 2
        for box in boxes[bisect_left(tops, middle - most) : bisect_right(tops, middle + 2)]:
            height = box[3] - box[1]
            level = middle <= box[3] + 0.25 * height and each.height <= 1.8 * height
            if level and each.box[0] >= box[0] - 6 and each.box[2] <= box[2] + 6:
                return True
        return False

    return [each for each in objects if not marks(each)]


def _without_frames(objects: Sequence[PageObject], scene: Scene) -> list[PageObject]:
    """Return the objects that are not text boxes, which become frames of the scene.

    A box with a picture in it is a part of a figure, and so is the text in it.
    """
    kept: list[PageObject] = []
    frames: list[Frame] = []
    for each in objects:
        inside = set()
        if each.kind != "image" and each.height > 2 * scene.body_size:
            inside = {n for n in scene.prose if contains(each.box, scene.lines[n].box, 3)}
        hugs = len(inside) == 2 and each.height < 4.8 * scene.body_size
        if len(inside) < _FRAME_LINES and not hugs:
            kept.append(each)
            continue
        for frame in frames:
            if contains(frame.box, each.box, 8) or contains(each.box, frame.box, 8):
                frame.objects.append(each)
                frame.lines |= inside
                frame.box = max(frame.box, each.box, key=lambda b: (b[2] - b[0]) * (b[3] - b[1]))
                break
        else:
            frames.append(Frame(each.box, [each], inside))
    for frame in frames:
        if any(has_centre(frame.box, caption.box) for caption in scene.captions):
            continue  # a box around a part of the page
        drawn = [
            each
            for each in kept
            if has_centre(frame.box, each.box)
            and not is_rule(each)
            and each.width * each.height > _SMALL_PT2
            and not (each.light and each.filled)
        ]
        area = sum(each.width * each.height for each in drawn)
        if area > 0.1 * (frame.box[2] - frame.box[0]) * (frame.box[3] - frame.box[1]):
            kept += frame.objects
            scene.prose -= frame.lines
            continue
        scene.frames.append(frame)
        scene.prose -= frame.lines
    return kept


def _small_text_of_figures(scene: Scene) -> set[int]:
    """Return the lines of small text right above or below a picture that is as wide."""
    drawn = [c for c in scene.clusters if not c.only_rules and c.height > scene.body_size]
    small = {n for n in scene.prose if scene.lines[n].size < 0.85 * scene.body_size}
    found: set[int] = set()
    edges = [cluster.box for cluster in drawn]
    for _ in range(len(small)):
        added = {
            number
            for number in small - found
            if any(_continues(scene.lines[number].box, edge) for edge in edges)
        }
        if not added:
            break
        found |= added
        edges = [scene.lines[number].box for number in added]
    return found


def _continues(line: Box, other: Box) -> bool:
    inside = line[0] > other[0] - 6 and line[2] < other[2] + 20
    return inside and -overlap(line, other, 1) < 5
