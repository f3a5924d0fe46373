"""The figures of `docs/figures/iam.json`: what is granted, why, and what is refused.

    python -m tests.iam.figures

writes the file; a test compares it. Names of one made-up deployment are replaced by what they
stand for, such as `<DataBucket>`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from generator.files import REPOSITORY, write
from generator.resolved import resolve
from pipeline.types import Json
from tests.iam.account import Account, Request
from tests.iam.attacks import Attack, attacks
from tests.iam.minimality import (
    ACTION,
    DENY,
    RESOURCE,
    VALUE,
    Part,
    allowances,
    last_layer,
    layers,
    let_through,
    limits,
    needed_by,
)
from tests.iam.required import IMPLICIT, KINDS, Required, implicit_rights, record, required

FIGURES: Final = REPOSITORY / "docs/figures/iam.json"
NOT_TESTABLE: Final = {
    "endpoint/StsEndpoint/ThisAccount: action *": "what people ask through it, who they are, the "
    "simulator allows whatever policies say"
}
"""Allowances that the simulator cannot show to be needed, with the reason; all are implicit."""


@dataclass(frozen=True)
class Findings:
    """What removing each part of each policy showed."""

    needs: Mapping[Part, Sequence[Required]]
    """The required calls that are refused without an allowance."""
    stopped: Mapping[Part, Sequence[Request]]
    """The attacks that succeed without a limit."""
    behind: Mapping[Part, Sequence[Request]]
    """The attacks that succeed without a limit whose other layers are gone already."""


def find(account: Account, calls: Sequence[Required], attempts: Sequence[Attack]) -> Findings:
    """Remove every part of every policy, one at a time."""
    parts, requests = limits(account), [attack.request for attack in attempts]
    stopped = let_through(account, parts, requests)
    others = layers(parts)
    return Findings(
        needed_by(account, allowances(account), calls),
        stopped,
        {
            part: last_layer(account, part, others[part], requests)
            for part in others
            if not stopped[part]
        },
    )


def figures(
    account: Account, calls: Sequence[Required], attempts: Sequence[Attack], findings: Findings
) -> Json:
    """Return all figures."""
    needs = findings.needs
    return {
        "about": "Written by `python -m tests.iam.figures`; a test compares it.",
        "policies": _policies(account),
        "required_calls": _required(account, calls),
        "allowances": _allowances(needs),
        "implicit_sources": _marks(),
        "attacks": _attacks(account, attempts),
        "limits": _limits(findings),
        "who_may_do_what": _who(account, needs),
    }


def _policies(account: Account) -> Json:
    documents = account.documents.values()
    statements = [(one.kind, s) for one in documents for s in one.policy["Statement"]]
    effects = Counter(statement["Effect"] for _, statement in statements)
    return {
        "roles": len(account.deployment.of_type("AWS::IAM::Role")),
        "documents": len(account.documents),
        "documents_by_kind": dict(sorted(Counter(one.kind for one in documents).items())),
        "statements": len(statements),
        "allow_statements": effects["Allow"],
        "deny_statements": effects["Deny"],
        "actions_of_roles": sum(
            len(statement["Action"])
            for kind, statement in statements
            if kind == "identity" and statement["Effect"] == "Allow"
        ),
        "wildcard_actions_of_roles": sum(
            "*" in action
            for kind, statement in statements
            if kind == "identity" and statement["Effect"] == "Allow"
            for action in statement["Action"]
        ),
    }


def _required(account: Account, calls: Sequence[Required]) -> Json:
    verdicts = account.ask([call.request for call in calls])
    return {
        "total": len(calls),
        "allowed": sum(verdict.allowed for verdict in verdicts),
        "by_kind": _by_kind(Counter(call.kind for call in calls)),
    }


def _by_kind(counter: Mapping[str, int]) -> Json:
    return {kind: counter.get(kind, 0) for kind in KINDS}


def kind_of(part: Part, refused: Sequence[Required]) -> str:
    """Return why an allowance is needed: by our code, else by the definition, else implicitly."""
    kinds = {call.kind for call in refused}
    if not kinds:
        return IMPLICIT if str(part) in NOT_TESTABLE else "nothing"
    return next(kind for kind in KINDS if kind in kinds)


def _allowances(needs: Mapping[Part, Sequence[Required]]) -> Json:
    found: Json = {}
    for what in (ACTION, RESOURCE, VALUE):
        kinds = Counter(kind_of(p, refused) for p, refused in needs.items() if p.kind == what)
        total = kinds.total()
        found[f"{what}s"] = {
            "total": total,
            "needed_by": {**_by_kind(kinds), "nothing": kinds["nothing"]},
            "percent": {kind: round(100 * kinds[kind] / total, 1) for kind in KINDS},
        }
    return {**found, "not_testable": NOT_TESTABLE}


def _marks() -> Json:
    marks = Counter(entry["mark"] for entry in implicit_rights())
    return {"documented": marks["D"], "reported": marks["R"], "inferred": marks["I"]}


def _attacks(account: Account, attempts: Sequence[Attack]) -> Json:
    verdicts = account.ask([attack.request for attack in attempts])
    explicit = sum(verdict.result == "ExplicitlyDenied" for verdict in verdicts)
    return {
        "total": len(attempts),
        "refused": sum(not verdict.allowed for verdict in verdicts),
        "refused_by_a_deny": explicit,
        "by_kind": dict(sorted(Counter(attack.kind for attack in attempts).items())),
    }


def _limits(findings: Findings) -> Json:
    """Count conditions and Denies by how they were shown to be needed."""
    parts = findings.stopped.keys()
    idle = [part for part, successes in findings.stopped.items() if not successes]
    layered = [part for part in idle if findings.behind.get(part)]
    return {
        "conditions": sum(part.kind != DENY for part in parts),
        "denies": sum(part.kind == DENY for part in parts),
        "stop_an_attack_alone": len(parts) - len(idle),
        "stop_an_attack_when_another_layer_is_gone": len(layered),
        "idle": len(idle) - len(layered),
    }


def _who(account: Account, needs: Mapping[Part, Sequence[Required]]) -> list[Json]:
    roles = account.deployment.of_type("AWS::IAM::Role")
    return [
        {
            "role": role.logical_id,
            "purpose": role.properties["Description"],
            "assumed_by": _trusted(account, role.logical_id),
            "rights": [
                right
                for document in account.documents.values()
                if role.logical_id in document.roles
                for right in _rights(account, document.name, needs)
            ],
        }
        for role in roles
    ]


def _trusted(account: Account, role: str) -> Json:
    statement = account.documents[f"trust/{role}"].policy["Statement"][0]
    return _readable(account, {"by": statement["Principal"], "if": statement.get("Condition", {})})


def _rights(account: Account, name: str, needs: Mapping[Part, Sequence[Required]]) -> list[Json]:
    """Return a row for each statement of a policy."""
    rows = []
    for number, statement in enumerate(account.documents[name].written["Statement"]):
        kinds = {
            kind_of(part, refused)
            for part, refused in needs.items()
            if (part.document, part.statement) == (name, number)
        }
        row = {
            "effect": statement["Effect"],
            "sid": statement["Sid"],
            "actions": statement["Action"],
            "resources": statement["Resource"],
            "if": statement.get("Condition", {}),
            "needed_by": [kind for kind in KINDS if kind in kinds],
        }
        rows.append(_readable(account, row))
    return rows


def _readable(account: Account, value: Json) -> Json:
    """Replace the names of one deployment by what they stand for."""
    deployment, place = account.deployment, account.place
    names = {
        resource.reference.rpartition(":")[2].rpartition("/")[2]: f"<{resource.logical_id}>"
        for resource in deployment
        if resource.type.startswith("AWS::") and len(resource.reference) > 12
    }
    names |= {
        deployment.parameters["pipeline"]["UniqueName"]: "<UniqueName>",
        deployment.get("studio", "Domain").reference: "<Domain>",
        place.account: "<account>",
        place.region: "<region>",
    }
    names |= {stack_id: f"<{name} stack>" for name, stack_id in deployment.stack_ids.items()}
    text = json.dumps(value)
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, names[name])
    readable: Json = json.loads(text)
    return readable


def render(found: Json) -> bytes:
    """Return the file's content."""
    return (json.dumps(found, indent=2) + "\n").encode()


def main(path: Path = FIGURES) -> None:
    """Write the figures."""
    account = Account.of(resolve())
    with TemporaryDirectory() as folder:
        calls = required(account, record(Path(folder)))
    attempts = attacks(account, calls)
    found = figures(account, calls, attempts, find(account, calls, attempts))
    print("changed" if write(path, render(found)) else "nothing changed", path.name)


if __name__ == "__main__":
    main()
