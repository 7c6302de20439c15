"""YAML as plain data: no objects, bounded by its caller, with the place of a fault."""

from __future__ import annotations

from typing import Any

from trawl.errors import MetadataError


def load_yaml(text: str, what: str) -> Any:
    """Parse one YAML document; `what` names it in the `MetadataError` for one that does not."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(text, Loader=loader)  # a safe loader: plain data alone
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise MetadataError(f"{what} is not YAML{where}: {error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError, TypeError, OverflowError) as error:
        said = " ".join(str(error).split())[:200]
        raise MetadataError(f"{what} is not YAML: {said}") from error
