"""`python -m trawl` is `trawl`."""

from trawl.cli.main import run

if __name__ == "__main__":
    run()
