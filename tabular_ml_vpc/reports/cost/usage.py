"""Assumptions about usage: low, typical and high, each with its reason.

These are our assumptions, not measurements. To replace one, use ``build.py cost --assume
NAME=VALUE``. Counts (endpoints, keys, alarms, ...) come from the templates and are not here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from generator.errors import UsageError


class Levels(NamedTuple):
    """A number for low, typical and high usage."""

    low: float
    typical: float
    high: float

    def map(self, change: Callable[[float], float]) -> Levels:
        """Return the three numbers, each changed."""
        return Levels(*(change(value) for value in self))

    def times(self, other: Levels | float) -> Levels:
        """Return the product with a number, or level by level."""
        if isinstance(other, Levels):
            return Levels(*(mine * theirs for mine, theirs in zip(self, other, strict=True)))
        return self.map(lambda value: value * other)


@dataclass(frozen=True)
class Assumption:
    """One assumption: three numbers, their unit, and the reason."""

    name: str
    levels: Levels
    unit: str
    reason: str


def _assumption(
    name: str, low: float, typical: float, high: float, unit: str, why: str
) -> Assumption:
    return Assumption(name, Levels(low, typical, high), unit, why)


ASSUMPTIONS: Final = (
    _assumption(
        *("endpoint-gb", 0.1, 1, 20, "GB per month through the interface endpoints"),
        "API calls and logs; data goes to S3, through the gateway endpoint, which is free",
    ),
    _assumption(
        *("key-versions", 1, 1, 3, "billed versions of the key"),
        "the first and the second yearly rotation each add the price of a key; later ones are free",
    ),
    _assumption(
        *("key-requests", 2_000, 20_000, 500_000, "requests to the key per month"),
        "the bucket key saves most of them; logs, queue, topic and volumes cause the rest",
    ),
    _assumption(
        *("data-gb", 0.1, 5, 200, "GB in the data bucket, including old versions"),
        "10,000 rows are 1 MB; every run keeps its own splits and model",
    ),
    _assumption(
        *("access-log-gb", 0.01, 0.1, 5, "GB in the log bucket"), "about 500 bytes per request"
    ),
    _assumption(
        *("put-requests", 1_000, 20_000, 500_000, "PUT and LIST requests per month"),
        "jobs, notebooks and the delivery of access logs",
    ),
    _assumption(
        *("get-requests", 5_000, 100_000, 5_000_000, "GET requests per month"), "jobs and notebooks"
    ),
    _assumption(
        *("flow-log-gb", 0.05, 0.5, 10, "GB of flow logs per month"),
        "about 100 bytes per connection and minute; idle network interfaces log little",
    ),
    _assumption(
        *("function-log-gb", 0.0001, 0.001, 0.1, "GB of logs per month and function"),
        "a few lines per CloudFormation event",
    ),
    _assumption(
        *("log-months", 1, 6, 12, "months that logs are kept"),
        "up to the retention setting; counted uncompressed, which overestimates",
    ),
    _assumption(
        *("function-calls", 1, 5, 50, "calls per month and function"),
        "one per deployment that changes the custom resource",
    ),
    _assumption(
        *("function-seconds", 5, 10, 60, "seconds per call"),
        "a few for most; filling and emptying buckets takes longer",
    ),
    _assumption(*("alerts", 0, 5, 200, "alerts per month"), "failed runs and alarms"),
    _assumption(
        *("dead-letters", 0, 10, 1_000, "requests to the dead-letter queue per month"),
        "it is empty unless something fails",
    ),
    _assumption(
        *("package-gb", 0.5, 5, 50, "GB of packages that CodeArtifact keeps"),
        "only if the deployment has a repository; one version of a large library is 1 GB",
    ),
    _assumption(
        *("package-requests", 1_000, 20_000, 200_000, "requests of pip per month"),
        "about three per package and installation",
    ),
    _assumption(
        *("studio-hours", 20, 80, 160, "hours per month and person that a space runs"),
        "idle spaces are shut down; a working month has 160 hours",
    ),
    _assumption(*("space-gb", 5, 5, 100, "GB of disk per person's space"), "5 GB is the minimum"),
    _assumption(
        *("home-gb", 1, 10, 100, "GB in the home file system"),
        "only if the deployment has one",
    ),
    _assumption(*("runs", 1, 4, 30, "runs of the pipeline per month"), "manual, weekly, daily"),
    _assumption(
        *("processing-minutes", 3, 5, 20, "minutes per processing job"),
        "including the download of the image; the work itself takes less than one",
    ),
    _assumption(
        *("training-minutes", 5, 14, 70, "minutes per training job"),
        "the default time limit for fitting is 10 minutes; high assumes 60",
    ),
    _assumption(
        *("endpoint-hours", 730, 730, 730, "hours per month that the endpoint serves"),
        "it serves until somebody deletes it",
    ),
    _assumption(
        *("scaled-share", 0, 0.3, 1, "of the instances between the fewest and the most"),
        "only if endpoints scale: with even requests few of them serve, and all in a rush",
    ),
    _assumption(
        *("approvals", 0.5, 2, 30, "approved versions per month"),
        "only if models are deployed on approval",
    ),
    _assumption(
        *("deployment-hours", 0.3, 0.5, 3, "hours of a trial, and again of a second fleet"),
        "instances take minutes to start; a second fleet also bakes after each step",
    ),
    _assumption(
        *("ticks", 8_760, 8_760, 8_760, "calls per month by one pipeline's tick"),
        "every five minutes, only with approval, new data or drift checks",
    ),
    _assumption(
        *("tick-seconds", 0.5, 1, 3, "seconds per tick"), "some calls of SageMaker; no waiting"
    ),
)


_GIVEN: Final = "given"


@dataclass(frozen=True)
class Usage:
    """The assumptions, by name."""

    assumptions: Mapping[str, Assumption]

    def __getitem__(self, name: str) -> Levels:
        return self.assumptions[name].levels

    def is_given(self, name: str) -> bool:
        """Tell whether a value replaced the assumption."""
        return self.assumptions[name].reason == _GIVEN

    def assuming(self, changes: Mapping[str, float]) -> Usage:
        """Return a copy with single values in place of the three levels.

        Raises:
            UsageError: an assumption is unknown, or a value is negative or infinite.

        """
        changed = dict(self.assumptions)
        for name, value in changes.items():
            if name not in changed:
                raise UsageError(f"{name}: unknown assumption; choose from {', '.join(changed)}")
            if not 0 <= value < float("inf"):
                raise UsageError(f"{name}: got {value}: must be a number, 0 or more")
            levels = Levels(value, value, value)
            changed[name] = replace(changed[name], levels=levels, reason=_GIVEN)
        return Usage(changed)


def usage() -> Usage:
    """Return the default assumptions."""
    return Usage({assumption.name: assumption for assumption in ASSUMPTIONS})
