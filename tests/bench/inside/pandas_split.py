"""The obvious way to split a table: all of it in memory, with pandas.

Arguments: the CSV file, and a folder to write `train.csv` and `test.csv` into; without the folder
it reads and splits, and writes nothing.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd


def main(source: str, target: str | None = None) -> None:
    """Split the table 80 to 20."""
    table = pd.read_csv(source)
    train = table.sample(frac=0.8, random_state=0)
    test = table.drop(train.index)
    if target is not None:
        train.to_csv(Path(target) / "train.csv", index=False)
        test.to_csv(Path(target) / "test.csv", index=False)
    print(json.dumps({"train": len(train), "test": len(test)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
