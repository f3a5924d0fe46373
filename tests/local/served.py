"""An archive with today's serving code and, in the model's place, a few lines that can also die."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Final

from generator.files import REPOSITORY

_SCRIPTS: Final = REPOSITORY / "pipeline/scripts"
DEADLY: Final = "666"
"""The age at which the process that predicts ends at once, as one without memory does."""
_CODE: Final = f"""
import os

import numpy as np
import ours
from columns import Column, Schema
from ours import transform_fn


class Predictor:
    def predict(self, frame, as_pandas):
        if (frame["f0"] == {DEADLY}).any():
            os._exit(1)
        return frame["f0"].to_numpy()


SCHEMA = Schema(
    "label", "regression", (), None, Column("label", "number"),
    (Column("age", "number"), Column("note", "text")), 100,
)
ours.load = lambda _: ours.Model(Predictor(), SCHEMA)
model_fn = ours.model_fn
"""


def write_archive(file: Path) -> Path:
    """Write the archive: it predicts the age, whatever the note says."""
    contents = {
        "code/inference.py": _CODE.encode(),
        "code/ours.py": (_SCRIPTS / "inference.py").read_bytes(),
        **{f"code/{name}": (_SCRIPTS / name).read_bytes() for name in ("cells.py", "columns.py")},
    }
    with tarfile.open(file, "w:gz") as archive:
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return file
