"""What of a model archive the drift job reads: code, schema and reference, and no predictor.

Arguments: the folder of `schema.json`, the folder of the training data, and the archive to write.
"""

from __future__ import annotations

import importlib
import json
import sys
import tarfile
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[3] / "pipeline/scripts"


def main(schema: str, data: str, target: str) -> None:
    """Write the archive."""
    sys.path.insert(0, str(SCRIPTS))
    train, reference = (importlib.import_module(name) for name in ("train", "reference"))
    _, looks = train.read_table(Path(data), train.read_schema(Path(schema)))
    looked = Path(target).with_name(reference.FILE)
    looked.write_text(json.dumps(looks), encoding="utf-8")
    with tarfile.open(target, "w:gz") as archive:
        for name in ("inference.py", "cells.py", "columns.py"):
            archive.add(SCRIPTS / name, f"code/{name}")
        archive.add(Path(schema) / "schema.json", "schema.json")
        archive.add(looked, reference.FILE)
    print(json.dumps({"rows": looks["rows"]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
