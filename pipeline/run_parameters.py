"""The parameters of a run: type, default, description, range and unit of each, in one place.

The definition declares them (`pipeline.definition`), which on AWS gives them a type and choices
only. The command line checks the rest before it starts anything, and explains them in `run --help`
and in the README. The jobs check their arguments too, whoever starts a run: their containers have
no package of ours, so a test compares their checks with these. Uses only the standard library, as
the definition does.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

Value = str | int | float

PROCESSING_INSTANCE_TYPE_PATTERN: Final = (
    r"^ml\.(t3\.(medium|large|2?xlarge)|([mr]5|[mr][678]i|c7i|(m7|[mr]8)i-flex)\.large"
    r"|([mc]4|[mcr]5|[mcr][678]i|([mc]7|[mcr]8)i-flex)\.[0-9]*xlarge)$"
)
"""Instance types that can run our processing jobs, for `re.fullmatch` and CloudFormation alike.

SageMaker rejects a volume key (`VolumeKmsKeyId`; `KmsKeyId` of an endpoint configuration) on
types with local storage ("API_ProcessingClusterConfig"), and the images are built for x86 without
GPU: the remaining types are listed by family. The available types differ by use
("ProcessingInstanceType" and similar types in the API), hence three patterns, without lookahead,
which pydantic lacks.
"""

TRAINING_INSTANCE_TYPE_PATTERN: Final = PROCESSING_INSTANCE_TYPE_PATTERN.replace(
    "|([mc]4|", "|(c5n|[mc]4|"
)
"""Instance types for training: the API has c5n here, but not for processing."""

ENDPOINT_INSTANCE_TYPE_PATTERN: Final = (
    r"^ml\.(t2\.(medium|large|2?xlarge)|m4\.[0-9]*xlarge|r5\.(large|(2|4|12|24)?xlarge)"
    r"|(c4|[cm]5|[cmr][67]i|c6in)\.(large|[0-9]*xlarge))$"
)
"""Instance types for endpoints: t2 instead of t3, more small ones, no flex, no eighth series."""

INSTANCE_TYPE_RULE: Final = (
    "a SageMaker instance type for this use: x86, no GPU, and no local disks (which cannot be "
    "encrypted with our key), such as ml.m5.large, ml.c6i.xlarge or ml.r7i.2xlarge"
)
"""The three patterns in words, for error messages and `ConstraintDescription`."""

PROBLEMS: Final = ("auto", "binary", "multiclass", "regression")
"""Kinds of prediction; with `auto`, Preprocess decides from the label column."""

METRICS: Final = (
    "auto",
    "accuracy",
    "balanced_accuracy",
    "f1",
    "roc_auc",
    "neg_log_loss",
    "r2",
    "neg_root_mean_squared_error",
    "neg_mean_absolute_error",
)
"""Metrics for the quality gate; `auto` is `roc_auc` for classes and `r2` for regression.

Higher is always better: losses and errors are negated, as in scikit-learn.
"""

NO_COLUMN: Final = "none"
NO_LIST: Final = "[]"
NO_KINDS: Final = "{}"
"""Values that mean "not set". They are not empty, because the service rejects an empty value:
"string \"\" is too short (length: 0, required minimum: 1)" (sagemaker-python-sdk#4016).
"""

APPROVAL: Final = "ApprovalStatus"
"""The parameter that a run does not have if its deployment serves models on approval."""
PENDING: Final = "PendingManualApproval"
APPROVALS: Final = ("Approved", PENDING, "Rejected")
"""A run's choices for its model's approval status; only an approved model is deployed."""

PRESETS: Final = ("medium_quality", "good_quality", "high_quality", "best_quality")
"""AutoGluon's presets that train without a GPU and without downloads, the fastest first."""

INPUT: Final = "InputData"
METRIC: Final = "QualityMetric"
THRESHOLD: Final = "QualityThreshold"
"""The last two depend on each other."""

TRAINING_SECONDS: Final = 6 * 3600
"""Seconds after which SageMaker stops the training job."""

FAMILIES: Final = ("GBM", "CAT", "XGB", "RF", "XT", "KNN", "LR", "NN_TORCH", "FASTAI")
"""AutoGluon's families that train on a CPU and download nothing ("AutoGluon Tabular Models")."""

KINDS: Final = (
    *("number", "integer", "boolean", "category", "text"),
    *("date", "datetime", "time", "duration"),
    "identifier",
)
"""Kinds of columns that `ColumnKinds` can set."""

_LONGEST_FIT: Final = 5 * 3600
"""Leaves an hour of `TRAINING_SECONDS` to load the data and to write the model."""
_LEAST_ROWS: Final = 10
_LARGEST_VOLUME: Final = 16_384
"""Gigabytes of a job's volume ("API_ProcessingClusterConfig", "API_ResourceConfig")."""
_NEGATED: Final = "neg_"
_UNBOUNDED: Final = ("auto", "r2")
"""Metrics that can be as low as they like."""


@dataclass(frozen=True)
class RunParameter:
    """One parameter of a run; a `default` of the deployment's own is only an example here.

    `least` and `most` are bounds of a number, which it may equal unless `between` is set.
    `choices` are all values, `members` what a list separated by commas can contain. `form` is the
    pattern of a text, and `rule` says in words what is allowed, if the other fields do not.
    """

    name: str
    description: str
    default: Value
    kind: str = "String"
    unit: str = ""
    least: float | None = None
    most: float | None = None
    between: bool = False
    choices: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    form: str = ""
    rule: str = ""
    deployment: bool = False
    """Whether the deployment decides the default."""

    @property
    def about(self) -> str:
        """One or two sentences: what it does, and what is allowed."""
        allowed = ", ".join(self.choices) or self.allowed
        told = f" Allowed: {allowed}." if allowed and not self.form else ""
        return f"{self.description}{told}"

    @property
    def usual(self) -> str:
        """Its default, in words where the deployment decides it."""
        if not self.deployment or " " in str(self.default):
            return self.default if isinstance(self.default, str) else f"{self.default:.7g}"
        return "the deployment's"

    @property
    def allowed(self) -> str:
        """What is allowed, in words that can follow "must be"."""
        if self.rule:
            return self.rule
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.members:
            return f"one or more of {', '.join(self.members)}, separated by commas"
        return self._range

    @property
    def _range(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        least, most = (
            f"{bound:,g}" if bound is not None else "" for bound in (self.least, self.most)
        )
        if self.between:
            return f"greater than {least} and less than {most}{unit}"
        if least and most:
            return f"from {least} to {most}{unit}"
        if least:
            return f"{least}{unit} or more"
        return f"at most {most}{unit}" if most else ""

    def problem(self, value: Value) -> str:
        """Why a value of the right type is not allowed, or an empty text."""
        return self._problem_of_text(value) if isinstance(value, str) else self._outside(value)

    def _outside(self, value: float) -> str:
        low, high = self.least, self.most
        if self.between:
            outside = low is not None and high is not None and not low < value < high
        else:
            outside = (low is not None and value < low) or (high is not None and value > high)
        return f"got {value!r}: must be {self.allowed}" if outside else ""

    def _problem_of_text(self, text: str) -> str:
        if self.choices and text not in self.choices:
            return not_one_of(text, self.choices)
        names = [part.strip() for part in text.split(",")]
        for name in names if self.members else ():
            if name not in self.members:
                return not_one_of(name, self.members)
        if self.form and not re.fullmatch(self.form, text):
            return f"got {text!r}: must be {self.allowed}"
        return _problem_of_json(text, self.default)


def not_one_of(text: str, known: Iterable[str]) -> str:
    """Say that a text is none of those known, and which one is closest."""
    choices = list(known)
    lower = {choice.lower(): choice for choice in choices}
    close = difflib.get_close_matches(text.lower(), lower, cutoff=0.5)
    close.sort(key=lambda choice: sorted(choice) != sorted(text.lower()))  # letters are swapped
    hint = f"; did you mean {lower[close[0]]}?" if close else ""
    return f"{text!r} is not one of {', '.join(choices)}{hint}"


def threshold_problem(metric: str, threshold: float) -> str:
    """Why a model can never, or would always, reach a threshold of a metric; or an empty text.

    Accuracies and areas lie between 0 and 1, R2 is at most 1, and negated errors at most 0.
    """
    if metric.startswith(_NEGATED):
        bad, allowed = threshold > 0, "at most 0, because losses and errors are negated"
    elif metric in _UNBOUNDED:
        bad, allowed = threshold > 1, "at most 1"
    else:
        bad, allowed = not 0 <= threshold <= 1, "from 0 to 1"
    return f"got {threshold:g}: must be {allowed} for the metric {metric}" if bad else ""


def _problem_of_json(text: str, default: Value) -> str:
    """Check a list or an object that is written as JSON; both can also be written with commas."""
    if default not in (NO_LIST, NO_KINDS):
        return ""
    brackets = str(default)
    if not text.lstrip().startswith(brackets[0]):
        return _problem_of_kinds(text) if default == NO_KINDS else ""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if default == NO_LIST:
        fits = isinstance(found, list) and all(isinstance(one, str) for one in found)
        return "" if fits else f'got {text!r}: must be a JSON list of texts, such as ["a", "b"]'
    if not isinstance(found, dict):
        return f'got {text!r}: must be a JSON object, such as {{"zip": "category"}}'
    wrong = next((str(kind) for kind in found.values() if kind not in KINDS), None)
    return "" if wrong is None else not_one_of(wrong, KINDS)


def _problem_of_kinds(text: str) -> str:
    for part in filter(str.strip, text.split(",")):
        name, _, kind = part.rpartition("=")
        if not name:
            return f"got {part.strip()!r}: must have the form COLUMN=KIND, such as zip=category"
        if kind not in KINDS:
            return not_one_of(kind, KINDS)
    return ""


_ALL: Final = (
    RunParameter(
        INPUT,
        "S3 URI of the table: one object, or a folder ending in `/`; CSV or Parquet.",
        "raw/data.csv in the data bucket",
        form=r"s3://[^/]+/.+",
        rule="an S3 URI, such as s3://BUCKET/raw/data.csv",
        deployment=True,
    ),
    RunParameter("LabelColumn", "Column to predict.", "label"),
    RunParameter("PositiveClass", "Which of two classes counts as positive.", "auto"),
    RunParameter("ProblemType", "Type of problem.", "auto", choices=PROBLEMS),
    RunParameter(
        "GroupColumn",
        "Keeps rows with the same value, such as a customer, on one side of the split.",
        NO_COLUMN,
    ),
    RunParameter("TimeColumn", "Uses the newest rows as test data.", NO_COLUMN),
    RunParameter(
        "ExcludeColumns",
        "Columns to leave out: names separated by commas, or a JSON list.",
        NO_LIST,
    ),
    RunParameter(
        "MissingMarks",
        "Cells to read as missing: marks separated by commas, or a JSON list.",
        NO_LIST,
    ),
    RunParameter(
        "ColumnKinds",
        "Overrides how columns are read: `zip=category,...`, or a JSON object.",
        NO_KINDS,
    ),
    RunParameter(
        "TestFraction",
        "Fraction of rows used as test data.",
        0.2,
        "Float",
        least=0,
        most=1,
        between=True,
    ),
    RunParameter(
        "TrainingRows",
        "Maximum number of rows to train on.",
        1_000_000,
        "Integer",
        "rows",
        least=_LEAST_ROWS,
    ),
    RunParameter(
        "Preset",
        "AutoGluon preset; a better one trains for longer.",
        "medium_quality",
        choices=PRESETS,
    ),
    RunParameter(
        "ModelFamilies", "AutoGluon model families to train.", "GBM,CAT,XGB", members=FAMILIES
    ),
    RunParameter(
        "TimeLimitSeconds",
        "Time limit for training.",
        600,
        "Integer",
        "seconds",
        least=1,
        most=_LONGEST_FIT,
    ),
    RunParameter(
        "LatencyLimitMilliseconds",
        "Maximum prediction time for one row; 0 means no limit.",
        0.0,
        "Float",
        "milliseconds",
        least=0,
    ),
    RunParameter(
        METRIC,
        "Metric of the quality gate; a run cannot change it, only `local` can.",
        "auto",
        choices=METRICS,
        deployment=True,
    ),
    RunParameter(
        THRESHOLD,
        "A model whose metric is lower is rejected; a run can only raise it.",
        0.7,
        "Float",
        most=1,
        deployment=True,
    ),
    RunParameter(
        APPROVAL,
        "Status of the model in the registry; only an approved model is served.",
        APPROVALS[0],
        choices=APPROVALS,
    ),
    *(
        one
        for use, pattern in (
            ("Processing", PROCESSING_INSTANCE_TYPE_PATTERN),
            ("Training", TRAINING_INSTANCE_TYPE_PATTERN),
        )
        for one in (
            RunParameter(
                f"{use}InstanceType",
                f"Instance type of {use.lower()} jobs: x86, without GPU or local disks.",
                "ml.m5.large",
                form=pattern,
                rule=INSTANCE_TYPE_RULE,
                deployment=True,
            ),
            RunParameter(
                f"{use}VolumeGB",
                f"Size of the disk of {use.lower()} jobs.",
                30,
                "Integer",
                "GB",
                least=1,
                most=_LARGEST_VOLUME,
            ),
        )
    ),
    RunParameter(
        "EndpointInstanceType",
        "Instance type of the endpoint: x86, without GPU or local disks.",
        "ml.m5.large",
        form=ENDPOINT_INSTANCE_TYPE_PATTERN,
        rule=INSTANCE_TYPE_RULE,
        deployment=True,
    ),
)
RUN_PARAMETERS: Final = {one.name: one for one in _ALL}
"""The parameters by name, in the order in which the console shows them."""
