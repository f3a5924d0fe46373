"""The choices that settings offer, and settings in which every two of them occur together.

A new setting gets a line in a dimension, or a dimension of its own if it changes templates that
others change, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations, product
from types import NoneType
from typing import Any, Final, get_args

from pydantic import BaseModel

from generator.settings import Settings
from generator.settings_network import InterfaceEndpoint
from tests.existing_vpc import EXISTING, EXISTING_WITH_OURS

Choice = dict[str, Any]
"""Part of a settings file, as TOML is read."""
Names = tuple[str, ...]

_ACCOUNT: Final = "arn:aws:iam::111122223333"
_KEY: Final = "key/1234abcd-12ab-34cd-56ef-1234567890ab"

DIMENSIONS: Final[dict[str, dict[str, Choice]]] = {
    "Studio": {
        "people of an organization": {
            "studio": {
                "domain": "new",
                "sign_in": "identity-center",
                "identity_center_groups": ["1a2b3c4d-5e6f-7a8b-9c0d-1e2f3a4b5c6d"],
                "people": [{"name": "ana", "user_name": "ana@example.com"}],
                "personal_prefixes": True,
                "idle_timeout_minutes": 120,
            }
        },
        "many people": {
            "studio": {
                "user_profiles": [f"person-{number}" for number in range(30)],
                "people": [
                    {"name": "ana", "persona": "ml-engineer"},
                    {"name": "ben", "persona": "reviewer"},
                    {"name": "cleo", "persona": "data-scientist"},
                ],
            }
        },
        "no Studio": {"studio": {"domain": "none"}},
        "existing domain": {
            "studio": {
                "domain": "d-abcdefgh1234",
                "s3_endpoint": "vpce-0123456789abcdef0",
                "people": [{"name": "ana"}, {"name": "ben", "persona": "reviewer"}],
            }
        },
    },
    "packages": {
        "no packages": {},
        "packages": {"packages": {"source": "pypi", "internal_names": ["acme", "acme-risk"]}},
        "existing packages": {
            "packages": {
                "source": "existing",
                "domain": "ours",
                "owner": "444455556666",
                "repository": "everything",
            }
        },
    },
    "network": {
        "largest VPC": {
            "network": {
                "cidr": "10.0.0.0/24",
                "zones": 3,
                "endpoint_zones": 3,
                "interface_endpoints": list(InterfaceEndpoint),
            }
        },
        "smallest VPC": {
            "network": {
                "endpoint_zones": 1,
                "interface_endpoints": "minimal",
                "endpoints_without_policy": ["s3"],
            }
        },
        "existing VPC": {"network": EXISTING},
        "existing VPC, endpoints of ours": {"network": EXISTING_WITH_OURS},
    },
    "pipelines": {
        "one pipeline": {},
        "one of several": {"pipeline": {"several": True}},
        "two pipelines": {
            "pipelines": [
                {"name": "main"},
                {
                    "name": "churn",
                    "label": "left",
                    "problem": "binary",
                    "quality_metric": "roc_auc",
                    "quality_threshold": 0.8,
                    "processing_instance_type": "ml.m5.xlarge",
                    "training_instance_type": "ml.m5.2xlarge",
                    "endpoint_instance_type": "ml.m5.large",
                    "alert_email": "",
                    "schedule": "cron(0 6 ? * MON *)",
                    "on_new_data": True,
                    "deploy": "on-approval",
                    "serving": {
                        "instances": 2,
                        "maximum_instances": 0,
                        "target_invocations": 0,
                        "shift": "canary",
                        "step_percent": 50,
                        "capture_percent": 100,
                        "champion_margin": 0.0,
                        "asynchronous": False,
                        "target_backlog": 5,
                    },
                    "watching": {"dashboard": False, "idle_hours": 12},
                },
            ]
        },
        "a pipeline on Spark": {
            "pipelines": [
                {"name": "main"},
                {
                    "name": "sales",
                    "preprocess_engine": "spark",
                    "preprocess_instances": 3,
                    "deploy": "pipeline",
                    "serving": {
                        "maximum_instances": 0,
                        "target_invocations": 0,
                        "shift": "all-at-once",
                        "capture_percent": 0,
                        "champion_margin": -1.0,
                        "asynchronous": False,
                        "target_backlog": 5,
                    },
                    "watching": {"drift_hours": 0, "quality_days": 0},
                },
            ],
        },
    },
    "mode": {"dev": {"modes": ["dev"]}, "prod": {"modes": ["prod"]}},
    "names": {
        "short names": {"project": "ab"},
        "long names": {"project": "a" * 30, "tags": {"team": "risk", "cost-center": "42"}},
    },
    "storage": {
        "storage": {
            "storage": {
                "noncurrent_days": 1,
                "processed_days": 0,
                "access_log_days": 1,
                "log_retention_days": 1,
            }
        },
        "locked and copied": {
            "storage": {
                "object_lock_days": 30,
                "replica_bucket": "arn:aws:s3:::copies",
                "replica_key": f"arn:aws:kms:eu-central-1:111122223333:{_KEY}",
            }
        },
    },
    "key": {
        "our key": {},
        "existing key": {"security": {"key": f"arn:aws:kms:eu-west-1:111122223333:{_KEY}"}},
    },
    "logs and alerts": {
        "our log bucket and topics": {"security": {"log_readers": [f"{_ACCOUNT}:role/Audit"]}},
        "existing log bucket": {"storage": {"log_bucket": "arn:aws:s3:::org-access-logs"}},
        "existing topic": {
            "security": {"alert_topic": "arn:aws:sns:eu-west-1:111122223333:org-alerts"}
        },
    },
    "rules": {
        "no rules": {},
        "rules": {
            "security": {
                "permissions_boundary": f"{_ACCOUNT}:policy/Boundary",
                "break_glass": f"{_ACCOUNT}:role/BreakGlass",
            }
        },
    },
    "engine": {
        "one machine": {},
        "Spark": {"pipeline": {"preprocess_engine": "spark", "preprocess_instances": 4}},
    },
    "deployment": {
        "endpoints": {"serving": {"instances": 2}},
        "no endpoints": {"pipeline": {"deploy": "none"}},
        "on approval": {"pipeline": {"deploy": "on-approval"}},
        "on approval, little by little": {
            "pipeline": {"deploy": "on-approval"},
            "serving": {
                "instances": 4,
                "shift": "linear",
                "step_percent": 25,
                "bake_minutes": 5,
                "deadline_hours": 1,
                "capture_percent": 20,
                "champion_margin": 0.01,
            },
            "storage": {"captured_days": 7},
        },
        "on approval, scaling": {
            "pipeline": {"deploy": "on-approval"},
            "serving": {"maximum_instances": 4, "target_invocations": 600},
        },
        "on approval, asynchronous": {
            "pipeline": {"deploy": "on-approval"},
            "serving": {"asynchronous": True, "target_backlog": 1, "champion_margin": 0},
            "storage": {"asynchronous_days": 1},
        },
        "on approval, checked": {
            "pipeline": {
                "deploy": "on-approval",
                "predictions": True,
                "on_drift": True,
                "drift_cooldown_hours": 24,
            },
            "serving": {"capture_percent": 100},
            "watching": {"drift_hours": 1, "quality_days": 7},
        },
    },
    "predictions": {
        "no predictions": {},
        "predictions": {"pipeline": {"predictions": True}, "storage": {"predictions_days": 90}},
    },
    "triggers": {
        "no triggers": {},
        "triggers": {"pipeline": {"success_messages": True, "schedule": "rate(7 days)"}},
        "new data": {"pipeline": {"on_new_data": True, "new_data_minutes": 1440}},
    },
    "pausing": {
        "always on": {},
        "paused": {
            "serving": {
                "pause": "cron(0 18 ? * MON-FRI *)",
                "resume": "cron(0 7 ? * MON-FRI *)",
            }
        },
    },
    "watching": {
        "nothing watched": {},
        "watched": {
            "watching": {"dashboard": True, "idle_hours": 168, "latency_milliseconds": 59_999}
        },
    },
    "functions": {
        "functions": {},
        "signed functions": {
            "functions": {
                "reserved_concurrency": 2,
                "code_signing_config": "arn:aws:lambda:eu-west-1:111122223333:code-signing-config:"
                "csc-0a1b2c3d4e5f60718",
                "tracing": False,
            }
        },
    },
    "limits": {
        "limits": {},
        "narrow limits": {
            "limits": {
                "job_instance_types": ["ml.m5.xlarge", "ml.m5.2xlarge"],
                "endpoint_instance_types": ["ml.m5.large"],
                "app_instance_types": ["ml.t3.medium"],
                "job_hours": 6,
            }
        },
    },
}
"""By dimension, the choices of which exactly one is made."""

REFUSED: Final = frozenset(
    [
        *(
            frozenset((packages, studio))
            for packages in ("packages", "existing packages")
            for studio in ("no Studio", "existing domain")
        ),
        frozenset(("paused", "no endpoints")),
        frozenset(("paused", "on approval, asynchronous")),
        frozenset(("watched", "on approval, asynchronous")),
    ]
)
"""Choices that contradict each other."""


Row = tuple[str, ...]
Pair = frozenset[str]


def pairs(row: Iterable[str]) -> set[Pair]:
    """Return every two of some choices."""
    return {frozenset(pair) for pair in combinations(row, 2)}


def possible() -> set[Pair]:
    """Return every two choices that can occur together."""
    everything = (
        {frozenset(pair) for pair in product(one, other)}
        for one, other in combinations(DIMENSIONS.values(), 2)
    )
    return set().union(*everything) - REFUSED


def rows() -> Iterator[Row]:
    """Yield choices by name, one of each dimension, so that every possible pair occurs in a row.

    Each row is, of those that begin with a missing pair and take the best of each other dimension,
    the one with most missing pairs. (allpairspy 2.5.1 leaves pairs out where some are refused.)
    """
    missing = possible()
    while missing:
        begun = (_row(first, missing) for first in sorted(missing, key=sorted))
        row = max(begun, key=lambda one: len(pairs(one) & missing))
        missing -= pairs(row)
        yield row


def _row(first: Pair, missing: set[Pair]) -> Row:
    found = set(first)
    for choices in DIMENSIONS.values():
        if found.isdisjoint(choices):
            allowed = [one for one in choices if not pairs([*found, one]) & REFUSED]
            found.add(max(allowed, key=lambda one: len(pairs([*found, one]) & missing)))
    return tuple(one for choices in DIMENSIONS.values() for one in choices if one in found)


def settings(row: Iterable[str]) -> Settings:
    """Return the settings of choices by name."""
    merged: Choice = {}
    known = {name: choice for choices in DIMENSIONS.values() for name, choice in choices.items()}
    for name in row:
        for section, values in known[name].items():
            if isinstance(values, dict):
                merged.setdefault(section, {}).update(values)
            else:
                merged[section] = values
    return Settings.model_validate(merged)


def chosen() -> set[Names]:
    """Return the names of all settings that a choice sets."""
    return {
        (*above, name)
        for choices in DIMENSIONS.values()
        for choice in choices.values()
        for above, values in _tables(choice)
        for name in values
    }


def _tables(values: Choice, above: Names = ()) -> Iterator[tuple[Names, Choice]]:
    """Yield the tables in a part of a settings file, those of lists included."""
    yield above, values
    for name, value in values.items():
        for table in value if isinstance(value, list) else [value]:
            if isinstance(table, dict):
                yield from _tables(table, (*above, name))


def names(model: type[BaseModel], above: Names = ()) -> Iterator[Names]:
    """Yield the names of all settings that are no tables themselves.

    A table that can be left out is one of them: its settings are those of another table.
    """
    for name, field in model.model_fields.items():
        kinds = list(_kinds(field.annotation))
        models = [kind for kind in kinds if issubclass(kind, BaseModel) and NoneType not in kinds]
        if not models:
            yield (*above, name)
        for inner in models:
            yield from names(inner, (*above, name))


def _kinds(annotation: Any) -> Iterator[type]:
    """Yield the classes in a type, such as those of a tuple's items."""
    if isinstance(annotation, type):
        yield annotation
    for inner in get_args(annotation):
        yield from _kinds(inner)
