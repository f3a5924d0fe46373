"""A table of numbers with a given number of columns, of which eight matter.

Arguments: the file to write, rows, columns.
"""

from __future__ import annotations

import json
import sys

import pandas as pd
from sklearn.datasets import make_classification

LABEL = "label"


def main(target: str, rows: str, columns: str) -> None:
    """Write the table; the label is 0 or 1."""
    values, label = make_classification(
        n_samples=int(rows),
        n_features=int(columns),
        n_informative=8,
        n_redundant=0,
        n_clusters_per_class=2,
        flip_y=0.1,
        random_state=0,
    )
    table = pd.DataFrame(values, columns=[f"x{at}" for at in range(int(columns))])
    table.assign(**{LABEL: label}).to_csv(target, index=False, float_format="%.6g")
    print(json.dumps({"rows": len(table)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
