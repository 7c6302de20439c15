"""Give every modality its share of a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

from trawl.ranking.fusion import Fused
from trawl.types import Modality


def balance(fused: Sequence[Fused], modality_of: Mapping[int, Modality], limit: int) -> list[Fused]:
    """The first `limit` places, shared equally among the modalities that `fused` holds.

    Within the share the best of each modality are taken, and the list stays in order of
    score; what one modality cannot fill goes to the best of the others. A place that
    does not divide evenly goes to the modality whose best hit is highest.
    """
    queues: dict[Modality, list[int]] = {}
    for place, item in enumerate(fused):
        queues.setdefault(modality_of[item.row], []).append(place)
    taken: list[int] = []
    # `queues` is in the order of each modality's best hit: a round gives one place each.
    depth = 0
    while len(taken) < min(limit, len(fused)):
        turn = [queue[depth] for queue in queues.values() if depth < len(queue)]
        taken.extend(islice(turn, limit - len(taken)))
        depth += 1
    return [fused[place] for place in sorted(taken)]
