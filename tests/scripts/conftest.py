"""Puts the scripts where their containers put them: next to each other, in no package."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "pipeline/scripts"))
