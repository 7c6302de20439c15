"""The command line. `trawl.cli.main` loads Typer only; commands import the rest when they run."""
