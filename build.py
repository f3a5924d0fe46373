"""The command line: ``python build.py`` emits the templates; ``--help`` lists the commands."""

import sys


def _main() -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 - the user chooses the interpreter
        version = ".".join(map(str, sys.version_info[:3]))
        return _refuse("Python 3.11 or later is required; this is " + version)
    try:
        from tabular_ml_vpc.cli import main  # noqa: PLC0415 - check Python's version first

        return main()
    except ModuleNotFoundError as error:
        if _is_ours(error.name or ""):
            raise
        return _refuse(f"{error.name} is not installed: run `make`, then .venv/bin/python build.py")


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in ("functions", "generator", "pipeline", "tabular_ml_vpc")


def _refuse(reason: str) -> int:
    print(f"build.py: {reason}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(_main())
