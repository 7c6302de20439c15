"""Formulas of Word and PowerPoint (OMML) as one line of text."""

from __future__ import annotations

from trawl.readers.xml_tree import Element, attribute, child, kind

_PROPERTIES = "Pr"


def formula_text(element: Element) -> str:
    """Return a formula in a notation like TeX's: "(a + b)/c", "x^2", "sqrt(y)"."""
    return " ".join(_text(element).split())


def _text(element: Element | None) -> str:
    if element is None:
        return ""
    name = kind(element)
    if name in {"m:t", "w:t"}:
        return element.text or ""
    if name == "m:f":
        over, under = _part(element, "m:num"), _part(element, "m:den")
        return f"{_grouped(over)}/{_grouped(under)}"
    if name in {"m:sSup", "m:sSub", "m:sSubSup", "m:sPre"}:
        low, high = _part(element, "m:sub"), _part(element, "m:sup")
        base = _part(element, "m:e")
        return (_grouped(base) if "/" in base else base) + _scripts(low, high)
    if name == "m:rad":
        degree = _part(element, "m:deg")
        root = "root" + _scripts(degree, "") if degree else "sqrt"
        return f"{root}({_part(element, 'm:e')})"
    if name == "m:nary":
        sign = child(element, "m:naryPr", "m:chr")
        symbol = attribute(sign, "m:val") if sign is not None else "∫"
        low, high = _part(element, "m:sub"), _part(element, "m:sup")
        return f"{symbol}{_scripts(low, high)} {_part(element, 'm:e')}"
    if name == "m:d":
        return _delimited(element)
    if name == "m:func":
        return f"{_part(element, 'm:fName')} {_part(element, 'm:e')}"
    if name in {"m:limLow", "m:limUpp"}:
        limit = _part(element, "m:lim")
        low, high = (limit, "") if name == "m:limLow" else ("", limit)
        return _part(element, "m:e") + _scripts(low, high)
    if name == "m:m":
        rows = ("; ".join(_text(cell) for cell in row) for row in element if kind(row) == "m:mr")
        return "[" + " | ".join(rows) + "]"
    if name.endswith(_PROPERTIES):
        return ""
    return "".join(_text(one) for one in element)


def _part(element: Element, name: str) -> str:
    return _text(child(element, name)).strip()


def _grouped(text: str) -> str:
    whole = text.isalnum() or (text[:1] == "(" and text.find(")") == len(text) - 1)
    return text if whole else f"({text})"


def _scripts(low: str, high: str) -> str:
    return "".join(
        f"{mark}{text if len(text) == 1 else f'({text})'}"
        for mark, text in (("_", low), ("^", high))
        if text
    )


def _delimited(element: Element) -> str:
    signs = {"m:begChr": "(", "m:endChr": ")", "m:sepChr": ", "}
    properties = child(element, "m:dPr")
    for one in properties if properties is not None else ():
        if kind(one) in signs:
            signs[kind(one)] = attribute(one, "m:val")
    inside = signs["m:sepChr"].join(_text(one) for one in element if kind(one) == "m:e")
    return f"{signs['m:begChr']}{inside}{signs['m:endChr']}"
