"""Measure, print, and write `docs/benchmarks.md`.

`python -m tests.bench` measures everything; `python -m tests.bench seeding` prints one part.
"""

from __future__ import annotations

import importlib
import sys
from datetime import date

from tests.bench.measure import ROOT, machine

PARTS = ("building", "deployment", "seeding")
PAGE = ROOT / "docs" / "benchmarks.md"
INTRODUCTION = """\
# Benchmarks

Written by `make bench`, which measures each figure and what it is compared with in one run, so that
the ratios mean something on a machine that is faster or slower. No test asserts a time.

Measured on {day}: {machine}.

"""


def main(names: list[str]) -> int:
    """Measure the parts that are named, or all; only all of them are written to the page."""
    if unknown := sorted(set(names) - set(PARTS)):
        print(f"no part {unknown[0]}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    texts = []
    for name in names or PARTS:
        print(f"measuring {name} ...", file=sys.stderr)
        for section in importlib.import_module(f"tests.bench.{name}").sections():
            texts.append(section.markdown())
            print(texts[-1])
    if not names:
        page = INTRODUCTION.format(day=date.today().isoformat(), machine=machine())
        PAGE.write_text(page + "\n".join(texts), encoding="utf-8")
        print(f"written: {PAGE.relative_to(ROOT)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
