"""The command line. `trawl.cli.main` is cheap to import; what a command needs comes with it."""
