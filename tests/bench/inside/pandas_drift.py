"""The obvious way to compare captured requests with training data: all in memory, with pandas.

Arguments: the folder of the training data, the folder of captured requests, and the label. It takes
every request for CSV without a header, and computes the population stability index of each column:
of ten bins of numbers, and of the frequencies of everything else.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

LEAST_SHARE = 1e-4


def received(folder: Path, names: list[str]) -> pd.DataFrame:
    """The rows of all requests."""
    bodies = []
    for path in sorted(folder.rglob("*.jsonl")):
        with path.open(encoding="utf-8") as lines:
            bodies += [json.loads(line)["captureData"]["endpointInput"]["data"] for line in lines]
    return pd.read_csv(io.StringIO("".join(bodies)), names=names)


def psi(before: pd.Series, now: pd.Series) -> float:
    """The population stability index of a column."""
    if pd.api.types.is_numeric_dtype(before):
        inner = np.unique(before.quantile(np.linspace(0, 1, 11)[1:-1]))
        edges = [-np.inf, *inner, np.inf]
        before, now = pd.cut(before, edges), pd.cut(now, edges)
    shares = pd.concat(
        [before.value_counts(normalize=True), now.value_counts(normalize=True)], axis=1
    )
    old, new = shares.fillna(0).clip(lower=LEAST_SHARE).to_numpy().T
    return float(((new - old) * np.log(new / old)).sum())


def main(train: str, folder: str, label: str) -> None:
    """Print the index of each column."""
    before = pd.read_parquet(train).drop(columns=label)
    now = received(Path(folder), list(before.columns))
    indices = {name: psi(before[name], now[name]) for name in before.columns}
    print(json.dumps({"rows": len(now), "psi": indices}))


if __name__ == "__main__":
    main(*sys.argv[1:])
