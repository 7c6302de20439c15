"""Measure search results with questions whose answers are known.

>>> from trawl import Library
>>> from trawl.evaluation import evaluate, read_judgements
>>> with Library("papers.trawl") as library:  # doctest: +SKIP
...     evaluation = evaluate(library, read_judgements("judgements.jsonl"))
...     print(evaluation.figure("calibrated", "nDCG@10").mean)

Requires the extra ``trawl-multimodal[eval]``. See ``docs/evaluation.md``.
"""

from trawl.evaluation.collections import Collection, add_collection, read_collection
from trawl.evaluation.evaluate import evaluate
from trawl.evaluation.figures import Evaluation, Figure, Half, Interval, Tuning
from trawl.evaluation.questions import Question, read_judgements

__all__ = [
    "Collection",
    "Evaluation",
    "Figure",
    "Half",
    "Interval",
    "Question",
    "Tuning",
    "add_collection",
    "evaluate",
    "read_collection",
    "read_judgements",
]
