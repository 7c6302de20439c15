"""Figures: groups of objects above or below a caption, with the text that belongs to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from trawl.readers.pdf.captions import Caption
from trawl.readers.pdf.clusters import Cluster
from trawl.readers.pdf.geometry import Box, union
from trawl.readers.pdf.scene import Frame, Scene, contains, has_centre, overlap

_NEAREST_PT = 110.0
"""How far the nearest object of a figure may be from its caption."""
_CHAIN_PT = 45.0
"""How far the objects of one figure may be from each other."""
_FRAME_PT = 26.0
_SIDE_PT = 40.0
_LABEL_ACROSS_PT, _LABEL_DOWN_PT = 14.0, 9.0
"""How far text may be from the objects that it labels."""
_SMALL_PT = 14.0
_PICTURE_SHARE = 0.025
_PICTURE_PT = 60.0
_MARGIN_SHARE = 0.08


@dataclass(slots=True)
class Candidate:
    """What may be the figure or table of a caption. `score` is higher for a better match.

    `side` is where the figure is, seen from its caption. `limits` is the free part of the page
    that it was found in.
    """

    box: Box
    side: str
    score: float
    limits: Box
    clusters: list[Cluster] = field(default_factory=list)


def figure_candidates(scene: Scene, caption: Caption, taken: Sequence[Box]) -> list[Candidate]:
    """Return what may be the figure of a caption. `taken` are boxes of tables."""
    obstacles = obstacles_of(scene, caption, taken)
    frames = [frame.box for frame in scene.frames]
    found = []
    for side in ("above", "below"):
        limits = free_area(scene, caption, side, [*obstacles, *frames])
        each = _of_objects(scene, caption, side, limits, obstacles)
        if each is None:
            limits = free_area(scene, caption, side, obstacles)
            each = _of_frames(scene, caption, side, limits)
        if each is not None:
            found.append(each)
    if not found:
        found = _beside(scene, caption, [*obstacles, *frames])
    if not found and caption.sure:
        find = _of_gap if scene.scan else _of_text
        for side in ("above", "below"):
            each = find(scene, caption, side, free_area(scene, caption, side, obstacles))
            if each is not None:
                found.append(each)
    return sorted(found, key=lambda each: -each.score)


def obstacles_of(scene: Scene, caption: Caption, taken: Sequence[Box] = ()) -> list[Box]:
    """Return the boxes that a figure or table of a caption does not reach into."""
    boxes = [scene.lines[number].box for number in scene.prose]
    boxes += [other.box for other in scene.captions if other is not caption]
    return [*boxes, *taken]


def free_area(scene: Scene, caption: Caption, side: str, obstacles: Sequence[Box]) -> Box:
    """Return the area above or below a caption up to the nearest obstacles."""
    x0, x1 = caption.box[0], caption.box[2]
    blocking = [box for box in obstacles if min(x1, box[2]) - max(x0, box[0]) > 2]
    if side == "above":
        bottom = caption.box[1] + 1
        top = max((box[3] for box in blocking if box[3] <= bottom + 3), default=0.0)
    else:
        top = caption.box[3] - 1
        bottom = min((box[1] for box in blocking if box[1] >= top - 3), default=scene.height)
    left, right = 0.0, scene.width
    for box in obstacles:
        if min(bottom, box[3]) - max(top, box[1]) <= 2:
            continue
        if box[2] <= x0 + 2:
            left = max(left, box[2])
        elif box[0] >= x1 - 2:
            right = min(right, box[0])
    for other in scene.captions:  # captions side by side share the space
        if other is caption or overlap(other.box, caption.box, 1) < -30:
            continue
        if other.box[0] >= x1:
            right = min(right, (x1 + other.box[0]) / 2 if _one_column(scene) else other.box[0])
        elif other.box[2] <= x0:
            left = max(left, (x0 + other.box[2]) / 2 if _one_column(scene) else other.box[2])
    return left, top, right, bottom


def _one_column(scene: Scene) -> bool:
    return len(scene.columns) < 2


def _of_objects(
    scene: Scene, caption: Caption, side: str, limits: Box, obstacles: Sequence[Box]
) -> Candidate | None:
    inside = [
        cluster for cluster in scene.clusters if _is_drawn(cluster) and _within(cluster.box, limits)
    ]
    column = column_of(scene, caption)
    mine = [c for c in inside if overlap(c.box, column, 0) > 0.3 * min(c.width, 40)]
    chained = _chain(mine, caption.box, side)
    if not chained:
        return None
    box = union([cluster.box for cluster in chained])
    if box[2] - box[0] < _SMALL_PT or box[3] - box[1] < _SMALL_PT:
        return None
    box = with_text(scene, _up_to_caption(scene, box, caption, side, limits), limits)
    gap = -overlap(box, caption.box, 1)
    share = (box[2] - box[0]) * (box[3] - box[1]) / scene.area
    box = _with_frames(scene, box, side, free_area(scene, caption, side, obstacles))
    score = 1.0 + min(share / 0.03, 1.0) - min(max(gap, 0) / 60, 0.9)
    score += 0.15 if side == "above" else 0.0
    score -= 0.0 if caption.sure else 0.3
    if not caption.sure and gap > 30:
        return None
    return Candidate(box, side, score, limits, chained)


def _up_to_caption(scene: Scene, box: Box, caption: Caption, side: str, limits: Box) -> Box:
    """Return a figure's box with the text between it and its caption, such as "(a)"."""
    between = (box[0], box[3], box[2], caption.box[1])
    if side == "below":
        between = (box[0], caption.box[3], box[2], box[1])
    labels = [
        run.box for run in scene.loose if _within(run.box, limits) and has_centre(between, run.box)
    ]
    return union([box, *labels])


def _with_frames(scene: Scene, box: Box, side: str, limits: Box) -> Box:
    """Return a figure's box with the text boxes that continue it."""
    frames = [frame.box for frame in scene.frames if _within(frame.box, limits)]
    for frame in sorted(frames, key=lambda b: b[1], reverse=side == "above"):
        gap = box[1] - frame[3] if side == "above" else frame[1] - box[3]
        same = abs(frame[0] - box[0]) < 8 and abs(frame[2] - box[2]) < 8
        if gap < _FRAME_PT and same:
            box = with_text(scene, union([box, frame]), limits)
    return box


def _is_drawn(cluster: Cluster) -> bool:
    return not cluster.only_rules and max(cluster.width, cluster.height) > 6


def _within(box: Box, limits: Box) -> bool:
    """Return whether a box is in an area, apart from a margin."""
    width, height = box[2] - box[0], box[3] - box[1]
    return overlap(box, limits, 1) > 0.7 * height - 1 and overlap(box, limits, 0) > 0.7 * width - 1


def column_of(scene: Scene, caption: Caption) -> Box:
    """Return the column that a caption is in, as wide as the page if it is in none."""
    for column in scene.columns:
        inside = column.left - 6 <= caption.box[0] and caption.box[2] <= column.right + 6
        if inside and len(scene.columns) > 1:
            return column.left, 0.0, column.right, scene.height
    return 0.0, 0.0, scene.width, scene.height


def _chain(clusters: Sequence[Cluster], start: Box, side: str) -> list[Cluster]:
    """Return the clusters from the caption on, up to the first large gap."""
    edge = start[1] if side == "above" else start[3]
    rest = sorted(clusters, key=lambda c: (edge - c.box[3]) if side == "above" else c.box[1] - edge)
    chained: list[Cluster] = []
    for cluster in rest:
        gap = edge - cluster.box[3] if side == "above" else cluster.box[1] - edge
        if gap > (_CHAIN_PT if chained else _NEAREST_PT):
            break
        chained.append(cluster)
        edge = min(edge, cluster.box[1]) if side == "above" else max(edge, cluster.box[3])
    return chained


def _of_frames(scene: Scene, caption: Caption, side: str, limits: Box) -> Candidate | None:
    """Return the text boxes next to a caption: a figure that consists of text."""
    chosen: list[Frame] = []
    edge = caption.box[1] if side == "above" else caption.box[3]
    frames = [frame for frame in scene.frames if _within(frame.box, limits)]
    for frame in sorted(frames, key=lambda f: f.box[1], reverse=side == "above"):
        gap = edge - frame.box[3] if side == "above" else frame.box[1] - edge
        if gap > _FRAME_PT or overlap(frame.box, caption.box, 0) < 10:
            break
        chosen.append(frame)
        edge = frame.box[1] if side == "above" else frame.box[3]
    if not chosen:
        return None
    box = union([frame.box for frame in chosen])
    score = 0.8 + (0.15 if side == "above" else 0.0)
    return Candidate(with_text(scene, box, limits), side, score, limits)


def _of_text(scene: Scene, caption: Caption, side: str, limits: Box) -> Candidate | None:
    """Return the block of text between rules or margins next to a caption."""
    margin = _MARGIN_SHARE * scene.height / 2
    boxes = [run.box for run in scene.loose if _within(run.box, limits) and run.box[3] > margin]
    rules = [rule.box for rule in scene.rules if _within(rule.box, limits)]
    most = _CHAIN_PT if len(rules) > 2 else _FRAME_PT
    boxes += rules
    edge = caption.box[1] if side == "above" else caption.box[3]
    chosen: list[Box] = []
    for box in sorted(boxes, key=lambda b: -b[3] if side == "above" else b[1]):
        gap = edge - box[3] if side == "above" else box[1] - edge
        if gap > most:
            break
        chosen.append(box)
        edge = min(edge, box[1]) if side == "above" else max(edge, box[3])
    if len(chosen) < 3:
        return None
    box = union(chosen)
    if box[3] - box[1] < 24 or box[2] - box[0] < 60:
        return None
    return Candidate(box, side, 0.5 + (0.15 if side == "above" else 0.0), limits)


def _of_gap(scene: Scene, caption: Caption, side: str, limits: Box) -> Candidate | None:
    """Return the space without text next to a caption, on a scanned page."""
    boxes = [scene.lines[number].box for number in scene.prose]
    if not boxes:
        return None
    text = union(boxes)
    column = column_of(scene, caption)
    if len(scene.columns) < 2:
        column = text
    top, bottom = max(limits[1] + 1, text[1] - 2), min(limits[3] - 1, text[3] + 2)
    box = (max(limits[0], column[0]), top, min(limits[2], column[2]), bottom)
    if box[3] - box[1] < _PICTURE_PT or box[2] - box[0] < _PICTURE_PT:
        return None
    return Candidate(box, side, 0.5 + (0.15 if side == "above" else 0.0), limits)


def _beside(scene: Scene, caption: Caption, obstacles: Sequence[Box]) -> list[Candidate]:
    """Return objects to the left or right of a caption, at its height."""
    found = []
    for cluster in scene.clusters:
        gap = -overlap(cluster.box, caption.box, 0)
        level = overlap(cluster.box, caption.box, 1)
        if not _is_drawn(cluster) or not 0 <= gap < _SIDE_PT or cluster.area < 2500:
            continue
        if level < 0.7 * (caption.box[3] - caption.box[1]):
            continue
        side = "left" if cluster.box[2] <= caption.box[0] else "right"
        corridor = (
            min(cluster.box[2], caption.box[2]), caption.box[1],
            max(cluster.box[0], caption.box[0]), caption.box[3],
        )  # fmt: skip
        if any(overlap(b, corridor, 0) > 1 and overlap(b, corridor, 1) > 1 for b in obstacles):
            continue
        limits = (0.0, 0.0, caption.box[0], scene.height)
        if side == "right":
            limits = (caption.box[2], 0.0, scene.width, scene.height)
        box = with_text(scene, cluster.box, limits)
        found.append(Candidate(box, side, 0.7 - gap / 100, limits, [cluster]))
    return found


def with_text(scene: Scene, box: Box, limits: Box) -> Box:
    """Return a figure's box with the labels, small objects and rules that belong to it."""
    parts = [run.box for run in scene.loose]
    parts += [line.box for line in scene.turned]
    parts += [cluster.box for cluster in scene.clusters]
    parts = [part for part in parts if _within(part, limits) and not contains(box, part, 0)]
    for _ in range(6):
        near = [part for part in parts if _belongs(part, box)]
        if not near:
            break
        box = union([box, *near])
        parts = [part for part in parts if part not in near and not contains(box, part, 0)]
    return box


def _belongs(part: Box, box: Box) -> bool:
    across, down = -overlap(part, box, 0), -overlap(part, box, 1)
    if across <= 0 and down <= 0:
        return True
    if across <= 0:
        return down <= _LABEL_DOWN_PT
    return down <= 0 and across <= _LABEL_ACROSS_PT


def with_leftovers(
    scene: Scene, chosen: list[tuple[Caption, Candidate]], taken: Sequence[Box]
) -> list[tuple[Caption, Candidate]]:
    """Add to figures the objects beside them that no caption has claimed."""
    used = [each.box for _, each in chosen]
    for cluster in scene.clusters:
        if not _is_drawn(cluster) or cluster.area < 300:
            continue
        if any(has_centre(box, cluster.box) for box in (*used, *taken)):
            continue
        for _, each in chosen:
            level = overlap(each.box, cluster.box, 1)
            across = -overlap(each.box, cluster.box, 0)
            if level < 0.6 * min(cluster.height, each.box[3] - each.box[1]):
                continue
            if across > _CHAIN_PT or not _within(cluster.box, each.limits):
                continue
            grown = with_text(scene, union([each.box, cluster.box]), each.limits)
            others = [e.box for _, e in chosen if e is not each] + list(taken)
            if any(overlap(grown, b, 0) > 3 and overlap(grown, b, 1) > 3 for b in others):
                continue
            each.box = grown
            each.clusters.append(cluster)
            break
    return chosen


def loose_pictures(scene: Scene, found: Sequence[Box]) -> list[Box]:
    """Return the boxes of large raster pictures that are in no figure, and are no decoration."""
    boxes = []
    for cluster in scene.clusters:
        images = [each for each in cluster.objects if each.kind == "image"]
        if not images:
            continue
        box = union([each.box for each in images])
        width, height = box[2] - box[0], box[3] - box[1]
        middle = (box[1] + box[3]) / 2 / scene.height
        if min(width, height) < _PICTURE_PT or width * height < _PICTURE_SHARE * scene.area:
            continue
        if not _MARGIN_SHARE < middle < 1 - _MARGIN_SHARE:
            continue
        if any(overlap(box, other, 0) > 0 and overlap(box, other, 1) > 0 for other in found):
            continue
        boxes.append(box)
    return boxes
