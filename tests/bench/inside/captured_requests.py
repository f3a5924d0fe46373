"""Requests of the synthetic table, as SageMaker's data capture stores them.

Arguments: the folder to write to, rows, and rows of a request. A process of its own, because what
it takes would count as the memory of what is measured after it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from functions.seed_data.table import blocks


def requests(rows: int, each: int) -> Iterator[list[str]]:
    """Yield lines of data capture, of which each is a request without a header."""
    for number, block in enumerate(blocks(rows, seed=1)):
        lines = block.decode().splitlines()[not number :]
        features = [line.rpartition(",")[0] + "\n" for line in lines]
        starts = range(0, len(features), each)
        yield [_record("".join(features[at : at + each]), at) for at in starts]


def _record(body: str, number: int) -> str:
    """A line as the developer guide shows it ("Capture data from a real-time endpoint")."""
    sent = {
        "endpointInput": {
            "observedContentType": "text/csv",
            "mode": "INPUT",
            "data": body,
            "encoding": "CSV",
        },
        "endpointOutput": {
            "observedContentType": "text/csv",
            "mode": "OUTPUT",
            "data": "label,0,1\n" + "0,0.875,0.125\n" * body.count("\n"),
            "encoding": "CSV",
        },
    }
    event = {"eventId": f"{number:036}", "inferenceTime": "2026-11-27T10:20:00Z"}
    return json.dumps({"captureData": sent, "eventMetadata": event, "eventVersion": "0"}) + "\n"


def main(target: str, rows: str, each: str) -> None:
    """Write the files."""
    for number, lines in enumerate(requests(int(rows), int(each))):
        (Path(target) / f"20-00-{number:06}.jsonl").write_text("".join(lines))
    print(json.dumps({"rows": int(rows)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
