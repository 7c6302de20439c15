"""Give every modality its share of a list, and its turn in it."""

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
    queues = _queues(fused, modality_of)
    taken: list[int] = []
    # `queues` is in the order of each modality's best hit: a round gives one place each.
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
    """At most `limit` places, of which each modality in `quotas` gets as many as it says.

    It gets no more, and fewer only where there are no more of it. What `quotas` leave of
    the limit goes to the best of the modalities that they do not name. The list stays in
    order of score.
    """
    queues = _queues(fused, modality_of)
    taken = [place for name, most in quotas.items() for place in queues.get(name, [])[:most]]
    taken = sorted(taken)[:limit]
    others = sorted(p for name, queue in queues.items() if name not in quotas for p in queue)
    reserved = min(limit, sum(quotas.values()))
    taken += others[: limit - reserved]
    return [fused[place] for place in sorted(taken)]


def deal_out(fused: Sequence[Fused], modality_of: Mapping[int, Modality]) -> list[Fused]:
    """The whole list with the modalities in turn, each in its own order.

    The modality whose best hit is highest begins; one that has no more is passed over.
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
    """The places of each modality in `fused`, in the order of each modality's best."""
    queues: dict[Modality, list[int]] = {}
    for place, item in enumerate(fused):
        queues.setdefault(modality_of[item.row], []).append(place)
    return queues
