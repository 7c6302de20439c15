"""``trawl models``: which there are, which are here, and how to get them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

if TYPE_CHECKING:
    from rich.progress import TaskID

ModelDirOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--model-dir",
        metavar="DIR",
        help="Where downloaded models lie; TRAWL_MODEL_DIR, or ~/.cache/trawl/models.",
    ),
]

app = typer.Typer(
    name="models",
    invoke_without_command=True,
    rich_markup_mode=None,
    help="List the models, download them, or make one from a checkpoint.",
)


@app.callback()
def models(
    context: typer.Context,
    model_dir: ModelDirOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """List the models: what each takes, its size, whether it is here; and the profiles.

    \b
    Examples:
      trawl models
      trawl models pull standard
      trawl models export ~/checkpoints/my-clip ~/models/my-clip
    """
    if context.invoked_subcommand is None:
        _print(_folder(model_dir), json)


@app.command()
def pull(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME", help="A profile, or a model.", show_default=False)
    ],
    model_dir: ModelDirOption = None,
) -> None:
    """Download models; what is here is checked and kept, what was cut off goes on.

    \b
    Examples:
      trawl models pull standard
      trawl models pull bge-small clap --model-dir /srv/models
    """
    from trawl.cli.terminal import clean, console
    from trawl.encoders import PROFILES, listing_of
    from trawl.encoders.hub import pull as download

    folder = _folder(model_dir)
    wanted = dict.fromkeys(model for name in names for model in PROFILES.get(name, (name,)))
    listings = [listing_of(name, folder) for name in wanted]
    for listing in listings:
        with _bar() as bar:
            size_bytes = download(listing, progress=bar)
        where = f"{listing.name} is in {listing.directory} ({size_bytes / 1e6:,.0f} MB)"
        console().print(clean(where))


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Argument(help="A Hugging Face checkpoint's folder.")],
    target: Annotated[Path, typer.Argument(help="The folder to make.")],
    licence: Annotated[str, typer.Option(help="What the card is to say of it.")] = "unknown",
) -> None:
    """Make a model of a checkpoint: ONNX graphs, a tokenizer and a card.

    Needs trawl-multimodal[torch].

    \b
    Use it by its path:
      trawl init --profile ~/models/my-clip
    """
    from trawl.cli.terminal import clean, console
    from trawl.encoders.export import export as write

    card = write(checkpoint.expanduser(), target.expanduser(), licence=licence)
    console().print(clean(f"wrote {card}; use it with: trawl init --profile {card.parent}"))


@app.command()
def quantise(
    model: Annotated[str, typer.Argument(help="A model's name, or its folder.")],
    target: Annotated[Path, typer.Argument(help="The folder to make.")],
    model_dir: ModelDirOption = None,
) -> None:
    """Make a model of 8-bit weights out of another: a quarter of its size.

    Needs trawl-multimodal[torch].
    Its vectors are not those of the other: a library is made with the one or the other.
    """
    from trawl.cli.terminal import clean, console
    from trawl.encoders import load_model
    from trawl.encoders.export import quantise as write

    card = write(load_model(model, _folder(model_dir)).card, target.expanduser())
    console().print(clean(f"wrote {card}; use it with: trawl init --profile {card.parent}"))


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int], None]]:
    """Give what draws a bar a file on stderr, where that is a terminal."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from trawl.cli.terminal import clean, console

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    terminal = console(stderr=True)
    with Progress(
        *columns, TimeRemainingColumn(), console=terminal, disable=not terminal.is_terminal
    ) as bars:
        tasks: dict[str, TaskID] = {}

        def draw(name: str, here_bytes: int, all_bytes: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(clean(name), total=all_bytes)
            bars.update(tasks[name], completed=here_bytes)

        yield draw


def _folder(given: Path | None) -> Path | None:
    from trawl.settings import load_settings

    return load_settings(model_dir=given).model_dir


def _print(folder: Path | None, as_json: bool) -> None:
    from trawl.cli.terminal import clean, console
    from trawl.encoders import PROFILES, RERANKING, listings

    found = {listing.name: listing for listing in listings(folder)}
    if as_json:
        import json

        print(json.dumps(_contract(found, PROFILES), ensure_ascii=False))
        return
    out = console()
    width = max(len(name) for name in found)
    for name, listing in found.items():
        size = f"{listing.source.size_mb:,.0f} MB" if listing.source else "in the package"
        here = "here" if listing.is_here else "-"
        takes = "reranks" if listing.family == RERANKING else "+".join(listing.modalities)
        line = f"{name:{width}}  {here:4}  {size:>14}  {takes:16}"
        out.print(clean(f"{line}  {listing.licence}"))
    out.print("")
    for profile, names in PROFILES.items():
        missing = [found[name].source for name in names if not found[name].is_here]
        cost = sum(source.size_mb for source in missing if source is not None)
        state = f"{cost:,.0f} MB to download" if missing else "all here"
        out.print(clean(f"profile {profile}: {', '.join(names)} ({state})"))


def _contract(found: dict[str, Any], profiles: Any) -> dict[str, Any]:
    return {
        "models": [
            {
                "name": listing.name,
                "family": listing.family,
                "modalities": list(listing.modalities),
                "dimension": listing.dimension,
                "licence": listing.licence,
                "repository": listing.source.repository if listing.source else None,
                "size_mb": listing.source.size_mb if listing.source else 0,
                "here": listing.is_here,
                "published": dict(listing.published),
            }
            for listing in found.values()
        ],
        "profiles": {name: list(models) for name, models in profiles.items()},
    }
