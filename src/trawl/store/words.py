"""What is asked of the full-text index."""

from __future__ import annotations

from dataclasses import dataclass

from lance.query import BooleanQuery, FullTextQuery, MatchQuery, Occur, PhraseQuery

WORDS_COLUMN = "words"
"""The column that the full-text index is on."""


@dataclass(frozen=True, slots=True)
class Words:
    """What is asked of the full-text index.

    `text` is any words, each of which counts; `phrases` count as a whole; `fuzzy` are
    words with how many letters may differ. All are optional: together they make a score.
    """

    text: str = ""
    phrases: tuple[str, ...] = ()
    fuzzy: tuple[tuple[str, int], ...] = ()

    def as_query(self) -> FullTextQuery | None:
        """Give the engine's query; None where nothing is asked."""
        parts: list[FullTextQuery] = []
        if self.text.strip():
            parts.append(MatchQuery(self.text, WORDS_COLUMN))
        parts += [PhraseQuery(phrase, WORDS_COLUMN) for phrase in self.phrases]
        parts += [MatchQuery(word, WORDS_COLUMN, fuzziness=letters) for word, letters in self.fuzzy]
        if len(parts) <= 1:
            return parts[0] if parts else None
        return BooleanQuery([(Occur.SHOULD, part) for part in parts])
