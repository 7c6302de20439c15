"""Safe YAML by the rules of YAML 1.2, with the line and column of errors."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from trawl.errors import MetadataError
from trawl.readers.formats import short_reason

# The core schema (YAML 1.2.2, 10.3.2), except that 01234 is text, like in a CSV. PyYAML's own
# rules are those of YAML 1.1, in which NO is false and 12:30 is 750.
_RULES: tuple[tuple[str, str, str], ...] = (
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("merge", r"<<", "<"),
)


def load_yaml(text: str, what: str) -> Any:
    """Parse one YAML document. Raises `MetadataError`, which names the document as `what`."""
    import yaml

    try:
        return yaml.load(text, Loader=_loader())  # a safe loader: it creates no objects
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise MetadataError(f"{what} is not valid YAML{where}: {error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError, TypeError, OverflowError) as error:
        raise MetadataError(f"{what} is not valid YAML: {short_reason(error)}") from error


@cache
def _loader() -> Any:
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]
        yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012

        def construct_yaml_int(self, node: Any) -> int | str:
            value = self.construct_scalar(node)
            try:
                return int(value, 0)
            except ValueError:  # an explicit !!int, or over 4,300 digits
                return str(value)

    Loader.add_constructor("tag:yaml.org,2002:int", Loader.construct_yaml_int)
    for name, pattern, first in _RULES:
        Loader.add_implicit_resolver(
            f"tag:yaml.org,2002:{name}",
            re.compile(rf"(?:{pattern})\Z"),
            [*first, *([""] if name == "null" else [])],
        )
    return Loader
