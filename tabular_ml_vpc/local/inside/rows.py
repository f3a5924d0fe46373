"""Prints the first rows of a Parquet file as CSV: `rows.py FILE NUMBER`.

Runs with the job environment's Python, because the main environment cannot read Parquet.
"""

from __future__ import annotations

import csv
import sys

from pyarrow import parquet


def main() -> None:
    """Print the header and at most NUMBER rows."""
    file, most = sys.argv[1], int(sys.argv[2])
    opened = parquet.ParquetFile(file)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(opened.schema_arrow.names)
    for batch in opened.iter_batches(batch_size=most):
        writer.writerows(zip(*(column.to_pylist() for column in batch.columns), strict=True))
        break


if __name__ == "__main__":
    main()
