"""Run the command line with ``python -m trawl``."""

from trawl.cli.main import run

if __name__ == "__main__":
    run()
