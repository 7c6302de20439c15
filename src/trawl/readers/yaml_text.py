"""Safe YAML, with the line and column of errors."""

from __future__ import annotations

from typing import Any

from trawl.errors import MetadataError
from trawl.readers.formats import short_reason


def load_yaml(text: str, what: str) -> Any:
    """Parse one YAML document. Raises `MetadataError`, which names the document as `what`."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(text, Loader=loader)  # a safe loader: it creates no objects
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise MetadataError(f"{what} is not valid YAML{where}: {error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError, TypeError, OverflowError) as error:
        raise MetadataError(f"{what} is not valid YAML: {short_reason(error)}") from error
