"""Paths, links, commands and options in the documentation exist."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import shlex
import subprocess
from functools import cache
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup

from trawl.cli.main import app
from trawl.errors import UsageError
from trawl.query import bind, parse_filter, parse_query
from trawl.types import ColumnType

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *(ROOT / folder / "README.md" for folder in ("examples", "training")),
]
ids = [str(page.relative_to(ROOT)) for page in PAGES]
pages = pytest.mark.parametrize("page", PAGES, ids=ids)

LINK = re.compile(r"\]\((?!https?:)([^)\s#]*)(?:#([^)\s]*))?\)")
CODE = re.compile(r"`([^`\n]+)`")
FILE = re.compile(r"[\w./-]+\.(?:py|md|toml|lark|yaml|jsonl?|onnx|svg|lock|txt)|[\w./-]+/")
BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
# In a library's directory, a user's folder, or as an example; not in the repository.
ELSEWHERE = {
    "papers/", "figures/", "photos/", "files/", "library.json", "skipped.json", "trawl.toml",
    "installed.json",
    "judgements.jsonl", "judgements.tsv", "photo.jpg.json", "plot.png", "muon.md", "metadata.jsonl",
    "corpus.jsonl", "queries.jsonl", "qrels/test.tsv", "qrels.tsv", "qrels/dev.tsv",
}  # fmt: skip


@cache
def repository() -> frozenset[str]:
    """Return every tracked or new file and its folders, relative to the root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    files = [Path(line) for line in listed.stdout.splitlines() if (ROOT / line).is_file()]
    return frozenset(str(path) for file in files for path in (file, *file.parents))


def exists(name: str, page: Path) -> bool:
    """Return whether a path exists from the root, the page, or within a folder of the code."""
    name = name.rstrip("/")
    starts = ("", str(page.parent.relative_to(ROOT)), "src/trawl", "benchmarks", "examples")
    known = repository()
    return any(str(Path(start) / name) in known for start in starts) or any(
        path.endswith(f"/{name}") for path in known
    )


@pages
def test_links_lead_to_files_and_headings(page: Path) -> None:
    text = CODE.sub("", BLOCK.sub("", page.read_text("utf-8")))
    for target, anchor in LINK.findall(text):
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in headings}
            assert anchor in anchors, f"{target}#{anchor}"


@pages
def test_named_paths_exist(page: Path) -> None:
    text = BLOCK.sub("", page.read_text("utf-8"))
    for code in CODE.findall(text):
        named = FILE.fullmatch(code)
        if named and code not in ELSEWHERE and not code.startswith(("/", "~", ".", "http")):
            assert exists(code, page), code


def commands() -> dict[str, set[str]]:
    """Return every command with its options; those of `trawl` itself under ""."""

    def walk(command: typer.core.TyperCommand | TyperGroup, name: str) -> None:
        options = {option for each in command.params for option in each.opts}
        found[name.strip()] = options | {"-h", "--help"}
        for sub, inner in getattr(command, "commands", {}).items():
            walk(inner, f"{name} {sub}")

    found: dict[str, set[str]] = {}
    walk(typer.main.get_command(app), "")  # type: ignore[arg-type]
    for each in typer.main.get_command(app).params:
        found[""] |= set(each.secondary_opts)
    return found


def calls(text: str) -> list[list[str]]:
    """Return the arguments of each `trawl ...` in shell blocks and inline code."""
    lines = [
        line
        for _, block in BLOCK.findall(text)
        for line in block.replace("\\\n", " ").splitlines()
        if re.match(r"^(\$ )?trawl ", line)
    ]
    lines += [code for code in CODE.findall(BLOCK.sub("", text)) if code.startswith("trawl ")]
    return [shlex.split(line.removeprefix("$ "), comments=True)[1:] for line in lines]


@pages
def test_commands_and_options_exist(page: Path) -> None:
    known = commands()
    for arguments in calls(page.read_text("utf-8")):
        words = list(arguments)
        while words and words[0].startswith("-"):  # options of `trawl` itself, such as --server URL
            option = words.pop(0)
            assert option in known[""], arguments
            if option == "--server" and words:
                words.pop(0)
        name = words[0] if words else ""
        if " ".join(words[:2]) in known:
            name = " ".join(words[:2])
        assert name in known, arguments
        for word in words:
            if re.match(r"--?[a-zA-Z]", word):
                assert word.partition("=")[0] in known[name] | negated(name), arguments


@cache
def negated(name: str) -> set[str]:
    """Return the secondary options of a command, such as `--no-nearest`."""
    command = typer.main.get_command(app)
    for part in name.split():
        command = command.commands[part]  # type: ignore[attr-defined]
    return {option for each in command.params for option in each.secondary_opts}


def test_options_named_alone_exist() -> None:
    """Check options in inline code without a command, such as `--rerank MODEL`."""
    known = set().union(*commands().values(), *(negated(name) for name in commands()))
    others = {"--scope", "--kustomize", "--help"}  # of other programs
    for page in PAGES:
        if page.parent.name == "training" or page.name == "mini.md":
            continue  # options of the training scripts
        for code in CODE.findall(BLOCK.sub("", page.read_text("utf-8"))):
            if re.match(r"--[a-z]", code):
                option = re.split(r"[ =]", code)[0]
                assert option in known | others, f"{page.name}: {code}"


@pages
def test_modules_benchmarks_and_make_targets_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    for module in re.findall(r"python -m (trawl[\w.]*)", text):
        assert importlib.util.find_spec(module) is not None, module
    for module in re.findall(r"python -m benchmarks\.(\w+)", text):
        assert (ROOT / "benchmarks" / f"{module}.py").is_file(), module
    scripts = {path.stem for path in (ROOT / "benchmarks").rglob("*.py")}
    for names in re.findall(r"python -m benchmarks((?: [a-z_]+)+)", text):
        assert set(names.split()) <= scripts, names
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for target in re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE):
        assert target in targets, target


@pages
def test_python_examples_parse_and_their_imports_exist(page: Path) -> None:
    for language, block in BLOCK.findall(page.read_text("utf-8")):
        if language != "python":
            continue
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(str(node.module))
                for name in node.names:
                    assert hasattr(module, name.name), name.name


def test_errors_on_the_page_are_those_of_the_parser() -> None:
    columns: dict[str, ColumnType] = {"source": "text", "tags": "list", "year": "integer"}
    page = (ROOT / "docs" / "queries.md").read_text("utf-8")
    for raise_error in (
        lambda: parse_query("muon ^two words"),
        lambda: bind(parse_query("muon yaer:>=2020").where, columns),
        lambda: bind(parse_filter("year in (2019, 'x')"), columns),
    ):
        with pytest.raises(UsageError) as error:
            raise_error()
        message = str(error.value).split("\nallowed:")[0]
        assert message in page
