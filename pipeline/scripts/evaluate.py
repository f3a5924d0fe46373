"""Scores a trained model on the test data, with the code that will serve it.

The job unpacks the model archive, loads its own `code/inference.py`, and passes the test data
through `transform_fn` as requests in Parquet, so that the quality gate tests what will be deployed.
It writes five files, and a sixth to a folder of its own:

- `gate.json`: the gate's metric and value; the pipeline reads `value` from it. It is small, because
  the service limits the size of property files. If the model is compared with the one that serves
  (`champion.py`), also the serving model's value, as text, and the new one's `lead`.
- `evaluation.json`: the same, all metrics beside those of a baseline, and the confusion matrix.
- `model_quality.json`: the metrics in the registry's format ("Model quality metrics and Amazon
  CloudWatch monitoring", in the SageMaker guide).
- `curves.json`: for the report: `curves` of classes (ROC, precision-recall, calibration), or of a
  regression what `number_quality.drawings` gives.
- `training.json`: leaderboard and feature importance, as training left them in the model.
- `smoke.json`, if asked for: a request with some rows and its answer, which a deployment compares
  with its endpoint's (`smoke.py`).

Runs as a processing job on the AutoGluon training image.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import champion
import class_quality
import jobs
import number_quality
import scoring
import served
import smoke
from columns import Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from champion import Champion
    from columns import Schema


@dataclass(frozen=True)
class EvaluationOptions:
    """The job's settings; `metric` is the one for the quality gate.

    The folder `champion` exists if the model is to be compared with the one that serves.
    """

    model: Path
    champion: Path
    test: Path
    evaluation: Path
    smoke: Path | None
    metric: str


def settings(argv: Sequence[str]) -> EvaluationOptions:
    """Read the command line.

    Raises:
        JobError: an argument is missing, unknown or out of range.
    """
    processing = jobs.base_folder() / "processing"
    parser = jobs.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--model", type=Path, default=processing / "input/model")
    parser.add_argument("--champion", type=Path, default=processing / "input/champion")
    parser.add_argument("--test", type=Path, default=processing / "input/test")
    parser.add_argument("--evaluation", type=Path, default=processing / "output/evaluation")
    parser.add_argument("--smoke", type=Path)
    parser.add_argument("--metric", choices=jobs.METRICS, default=jobs.AUTO)
    return EvaluationOptions(**vars(parser.parse_pairs(argv)))


# --- Reports -----------------------------------------------------------------------------------


def reports(schema: Schema, found: scoring.Scored, metric: str, manifest: Json) -> dict[str, Json]:
    """The contents of the files, by name."""
    if schema.classes:
        classes = scoring.of_classes(schema, found)
        evaluation = class_quality.evaluation(classes)
        quality = class_quality.model_quality(classes)
        curves: Json = {"curves": class_quality.curves(classes)}
    else:
        label = manifest["training_label"]
        numbers = number_quality.NumberScores(found[0], found[1], label["mean"], label["median"])
        evaluation = number_quality.evaluation(numbers)
        quality = number_quality.model_quality(numbers)
        curves = number_quality.drawings(numbers)
    gate = {"metric": metric, "value": evaluation["metrics"][metric]}
    return {
        "gate.json": gate,
        "evaluation.json": {"gate": gate, **evaluation},
        "model_quality.json": quality,
        "curves.json": curves,
    }


def evaluate(argv: Sequence[str]) -> None:
    """Do the whole job.

    Raises:
        JobError: an argument, the model or the test data is not usable.
    """
    wanted = settings(argv)
    with served.unpacked(wanted.model) as folder:
        before = None
        if wanted.champion.is_dir():
            before = champion.score(wanted.champion, folder, wanted.test, wanted.metric)
        files, smoke_test = evaluated(folder, wanted)
    if before is not None:
        compare(before, files)
    places = {wanted.evaluation / name: report for name, report in files.items()}
    if wanted.smoke is not None:
        places[wanted.smoke / "smoke.json"] = smoke_test
    with jobs.whole(*places) as drafts:
        for draft, report in zip(drafts, places.values(), strict=True):
            draft.write_text(json.dumps(report, indent=1, allow_nan=False), encoding="utf-8")
    print(json.dumps(files["evaluation.json"]["metrics"]))


def evaluated(folder: Path, wanted: EvaluationOptions) -> tuple[dict[str, Json], Json]:
    """The contents of the files about the unpacked model, by name, and its smoke test, if wanted.

    Raises:
        JobError: the model or the test data is not usable.
    """
    loaded = served.load(folder)
    schema = loaded.model.schema
    metric = jobs.metric(schema.problem, wanted.metric)
    found = scoring.score(loaded, schema, wanted.test)
    files = reports(schema, found, metric, _read_json(folder / "manifest.json"))
    files["training.json"] = {
        path.stem: _read_json(path) for path in sorted((folder / "report").glob("*"))
    }
    if wanted.smoke is None:
        return files, {}
    rows = scoring.requests(wanted.test, schema.label, loaded.request_rows)
    places = smoke.places(found[1], schema.classes)
    return files, smoke.request(loaded, smoke.chosen(rows, places))


def compare(before: Champion, files: dict[str, Json]) -> None:
    """Add the serving model's value to the files, and print it."""
    gate = files["gate.json"]
    metric, value = gate["metric"], gate["value"]
    files["gate.json"] = gate | before.of_gate(value)
    files["evaluation.json"]["champion"] = before.as_json(metric, value)
    print(before.told(metric, value))


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def main(argv: Sequence[str]) -> int:
    """Run the job and give its exit code."""
    return jobs.run(evaluate, argv, jobs.base_folder() / "output/message")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
