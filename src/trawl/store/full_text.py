"""Full-text queries: from the words of a query to the engine's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lance.query import (
    BooleanQuery,
    FullTextOperator,
    FullTextQuery,
    MatchQuery,
    Occur,
    PhraseQuery,
)

from trawl.store.schema import TERMS_COLUMN, WORDS_COLUMN
from trawl.words import phrase_terms, ranking_terms, tokens

# The engine compares with the first words that are near enough, in alphabetical order. Up to a
# hundred of the 60,000 words in 100,000 chunks are two letters from a word of six.
_MAX_EXPANSIONS = 1_000


@dataclass(frozen=True, slots=True)
class Words:
    """A full-text query.

    Every word of `text` counts on its own, every phrase of `phrases` as a whole. `fuzzy`
    has words with the number of letters that may differ. The scores of all are added.
    """

    text: str = ""
    phrases: tuple[str, ...] = ()
    fuzzy: tuple[tuple[str, int], ...] = ()

    @property
    def plain(self) -> Sequence[str]:
        """The ranking terms, if these are all that counts; else none."""
        if self.phrases or self.fuzzy:
            return ()
        ranking, exact = ranking_terms(self.text)
        return () if exact else ranking

    def as_query(self) -> FullTextQuery | None:
        """Return the engine's query, or None if this has no words."""
        ranking, exact = ranking_terms(self.text)
        parts: list[FullTextQuery] = []
        if ranking:
            parts.append(MatchQuery(" ".join(ranking), TERMS_COLUMN))
        if exact:
            parts.append(MatchQuery(" ".join(exact), WORDS_COLUMN))
        phrases = filter(None, map(phrase_terms, self.phrases))
        parts += [PhraseQuery(phrase, WORDS_COLUMN) for phrase in phrases]
        parts += [_fuzzy(word, letters) for word, letters in self.fuzzy if phrase_terms(word)]
        if len(parts) <= 1:
            return parts[0] if parts else None
        return BooleanQuery([(Occur.SHOULD, part) for part in parts])


def _fuzzy(word: str, letters: int) -> FullTextQuery:
    """Return the query for a misspelt word. Words of unspaced scripts are matched exactly."""
    if any(token.joined is not None for token in tokens(word)):
        return PhraseQuery(phrase_terms(word), WORDS_COLUMN)
    return MatchQuery(
        phrase_terms(word),
        WORDS_COLUMN,
        fuzziness=letters,
        max_expansions=_MAX_EXPANSIONS,
        operator=FullTextOperator.AND,
    )
