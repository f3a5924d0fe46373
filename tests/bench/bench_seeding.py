"""Writing the synthetic table, beside the obvious way of doing it.

The obvious way draws one row after the other with `random`, writes it with `csv` into memory, and
sends the text at once. It is reimplemented here, with the columns of our table.
"""

from __future__ import annotations

import sys

from tests.bench.measure import Cost, best, run
from tests.bench.page import circumstances, replace_section, table

OURS = """
import sys
from functions.seed_data.table import blocks
total = 0
for piece in blocks(int(sys.argv[1]), 0):
    total += len(piece)
print(total)
"""
NAIVE = """
import csv, io, random, sys
plans, regions = ["basic", "standard", "premium"], ["north", "south", "east", "west", "overseas"]
payments = ["card", "direct_debit", "bank_transfer"]
out = io.StringIO()
writer = csv.writer(out)
random.seed(0)
writer.writerow(["age", "support_calls", "monthly_income", "monthly_spend", "tenure_months",
                 "devices", "plan", "region", "payment_method", "satisfaction", "label"])
for _ in range(int(sys.argv[1])):
    label = int(random.random() < 0.3)
    writer.writerow([
        int(random.gauss(54, 12)), random.randint(0, 7), int(random.gauss(4000, 800) - 300 * label),
        round(random.gauss(35, 9) + 5 * label, 2), random.randint(0, 71), random.randint(1, 5),
        random.choice(plans), random.choice(regions), random.choice(payments),
        random.randint(1, 5), label])
print(len(out.getvalue().encode()))
"""
SMALL, MIDDLE, LARGE = 10_000, 1_000_000, 10_000_000


def section() -> str:
    """Measure each size in a process of its own, and return the section in Markdown."""
    measured = [
        ("ours", SMALL, _cost(OURS, SMALL, 3)),
        ("ours", MIDDLE, _cost(OURS, MIDDLE, 2)),
        ("ours", LARGE, _cost(OURS, LARGE, 1)),
        ("row by row", SMALL, _cost(NAIVE, SMALL, 3)),
        ("row by row", MIDDLE, _cost(NAIVE, MIDDLE, 2)),
    ]
    rows = [
        [
            name,
            f"{rows:,}",
            f"{cost.cpu:.2f} s",
            f"{rows / cost.cpu:,.0f}",
            f"{cost.peak_mib:.0f} MiB",
            f"{int(cost.output) / 1e6:,.1f} MB",
        ]
        for name, rows, cost in measured
    ]
    times = measured[4][2].cpu / measured[1][2].cpu
    headings = ["", "rows", "processor", "rows a second", "peak memory", "table"]
    return "\n\n".join(
        [
            "## Seeding",
            f"{circumstances()} The synthetic table as bytes, start of Python included; what S3 "
            "takes to receive it is the same for both and left out. Standard library only, as in "
            "the function.",
            table(headings, rows),
            f"At a million rows ours writes **{times:.1f} times** the rows per second (goal: 5), "
            f"and 10 million rows take {measured[2][2].peak_mib:.0f} MiB (goal: under 128 MB).",
        ]
    )


def _cost(code: str, rows: int, times: int) -> Cost:
    return best(times, lambda: run([sys.executable, "-c", code, str(rows)]))


if __name__ == "__main__":
    replace_section("seeding", section())
