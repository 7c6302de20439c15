"""Distribute the places of a result list among modalities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

from trawl.ranking.fused import Fused
from trawl.types import Modality


def balance(fused: Sequence[Fused], modality_of: Mapping[int, Modality], limit: int) -> list[Fused]:
    """Return `limit` items, shared equally among the modalities in `fused`, ordered by score.

    Each modality contributes its best items. Places that a modality cannot fill go to the
    others; a remainder goes to the modality with the highest-scored item.
    """
    queues = _queues(fused, modality_of)
    taken: list[int] = []
    # `queues` is ordered by the best item of each modality; a round takes one item of each.
    depth = 0
    while len(taken) < min(limit, len(fused)):
        turn = [queue[depth] for queue in queues.values() if depth < len(queue)]
        taken.extend(islice(turn, limit - len(taken)))
        depth += 1
    return [fused[place] for place in sorted(taken)]


def by_quota(
    fused: Sequence[Fused],
    modality_of: Mapping[int, Modality],
    limit: int,
    quotas: Mapping[Modality, int],
) -> list[Fused]:
    """Return at most `limit` items with a quota for each modality in `quotas`, ordered by score.

    A modality gets fewer items than its quota only if there are no more. The rest of the
    limit goes to the best items of the modalities without a quota.
    """
    queues = _queues(fused, modality_of)
    taken = [place for name, most in quotas.items() for place in queues.get(name, [])[:most]]
    taken = sorted(taken)[:limit]
    others = sorted(p for name, queue in queues.items() if name not in quotas for p in queue)
    reserved = min(limit, sum(quotas.values()))
    taken += others[: limit - reserved]
    return [fused[place] for place in sorted(taken)]


def deal_out(fused: Sequence[Fused], modality_of: Mapping[int, Modality]) -> list[Fused]:
    """Return all items with the modalities interleaved, each in its own order.

    The modality with the highest-scored item comes first; exhausted modalities are skipped.
    """
    queues = _queues(fused, modality_of)
    longest = max(map(len, queues.values()), default=0)
    return [
        fused[queue[depth]]
        for depth in range(longest)
        for queue in queues.values()
        if depth < len(queue)
    ]


def _queues(
    fused: Sequence[Fused], modality_of: Mapping[int, Modality]
) -> dict[Modality, list[int]]:
    """Return the places of each modality in `fused`, ordered by the best of each modality."""
    queues: dict[Modality, list[int]] = {}
    for place, item in enumerate(fused):
        queues.setdefault(modality_of[item.row], []).append(place)
    return queues
