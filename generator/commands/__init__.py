"""One module for each subcommand of ``build.py``."""
