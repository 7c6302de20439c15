"""The reader of TeX documents."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from trawl.errors import ReadError
from trawl.readers import flow, media_type_of, picture_links, read
from trawl.types import Passages, Reading

PAPER = r"""\documentclass{article}
\title[short]{Decays of \emph{muons}}
\author{Lise Meitner\thanks{KWI} \and Otto Hahn}
\begin{document}
\maketitle % not shown
\begin{abstract}We see decays~\cite[p.~3]{a,b}.\end{abstract}
\section{Results}\label{sec:r}
As Figure~\ref{fig:beam} shows, 5\,\% of $\mu \to e$ are seen \textbf{here}.

\begin{figure}[t]
  \centering\includegraphics[width=\linewidth]{plots/beam}
  \caption{The \emph{beam} {line}.}\label{fig:beam}
\end{figure}
\begin{table}
\caption{Lifetimes}
\begin{tabular}{l|c c}
\hline particle & \multicolumn{2}{c}{lifetime} \\ \hline
\multirow{2}{*}{muon} & 2.2 & $\mu$s \\
 & 660 & m
\end{tabular}
\end{table}
\subsection{Fit}
\begin{verbatim}
fit(x) % kept? no: comments go first
\end{verbatim}
The end.
\end{document}
"""


def reading(folder: Path, source: str) -> Reading:
    path = folder / "a.tex"
    path.write_text(source)
    assert media_type_of(path) == "text/x-tex"
    return read(path, "text/x-tex")


def passages(found: Reading) -> list[Passages]:
    return [part for part in found.parts if isinstance(part, Passages)]


def test_a_paper_is_text_with_sections_tables_and_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "_MIN_CHARS", 0)
    found = reading(tmp_path, PAPER)
    assert found.title == "Decays of muons"
    assert found.notices == ("missing pictures: plots/beam",)
    abstract, results, table, fit = passages(found)
    assert (abstract.section, abstract.text) == ("Abstract", "Abstract\n\nWe see decays.")
    assert results.section == "Results"
    assert results.text == (
        "Results\n\nAs Figure 1 shows, 5 % of $\\mu \\to e$ are seen here.\n\n"
        "Figure 1: The beam line."
    )
    assert table.label == "Table 1"
    assert table.text == (
        "Table 1: Lifetimes\n\n| particle | lifetime |  |\n| --- | --- | --- |\n"
        "| muon | 2.2 | $\\mu$s |\n|  | 660 | m |"
    )
    assert fit.section == "Results › Fit"
    assert fit.text.endswith("The end.")


def test_pictures_are_joined_with_their_captions(tmp_path: Path) -> None:
    (tmp_path / "plots").mkdir()
    Image.new("RGB", (40, 30)).save(tmp_path / "plots" / "beam.png")
    assert not reading(tmp_path, PAPER).notices
    (link,) = picture_links(tmp_path / "a.tex", "text/x-tex")
    assert link.path == tmp_path / "plots" / "beam.png"
    assert link.caption == "Figure 1: The beam line."
    reading(
        tmp_path,
        "\\graphicspath{{none/}{plots/}}\\begin{figure}\\includegraphics{beam.png}"
        "\\caption{One}\\end{figure}",
    )
    (link,) = picture_links(tmp_path / "a.tex", "text/x-tex")
    assert (link.path.name, link.caption) == ("beam.png", "One")


def test_labels_of_an_included_file_are_words(tmp_path: Path) -> None:
    (part,) = passages(reading(tmp_path, "See Figure~\\ref{fig:beam-line} and \\cite{x}."))
    assert part.text == "See Figure beam-line and."


def test_the_stated_encoding_is_used(tmp_path: Path) -> None:
    path = tmp_path / "a.tex"
    source = "\\usepackage[latin1]{inputenc}\\begin{document}Zerfälle\\end{document}"
    for encoding in ("latin-1", "utf-8"):
        path.write_bytes(source.encode(encoding))
        assert media_type_of(path) == "text/x-tex"
        assert passages(read(path, "text/x-tex"))[0].text == "Zerfälle"


@pytest.mark.parametrize(
    "source",
    ["{" * 3_000 + "words", "\\section{open words", "\\begin{figure} words", "$ x words \\frac{"],
)
def test_unbalanced_sources_are_read(tmp_path: Path, source: str) -> None:
    (part,) = passages(reading(tmp_path, source))
    assert "words" in part.text


@pytest.mark.parametrize("source", ["  \n", "% only a comment", "\\maketitle"])
def test_sources_without_text_are_refused(tmp_path: Path, source: str) -> None:
    with pytest.raises(ReadError, match=r"white space|no text"):
        reading(tmp_path, source)
