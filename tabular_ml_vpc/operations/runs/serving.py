"""Which versions of the registry an endpoint, and the trial before it, have.

A function deploys approved versions by configurations whose name says the version,
``v<version>-<hash>-<endpoint>``. A run's configuration does not; whose model it serves follows from
the model's archive. Source: "API_DescribeEndpoint": an endpoint that changes has the configuration
to come in ``PendingDeploymentSummary``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from functions.shared.names import ERROR_TAG, FAILED_TAG, SERVED_TAG
from pipeline.definition import OWNER_TAG
from pipeline.types import JsonView
from tabular_ml_vpc.operations.workload import Workload

IN_SERVICE: Final = "InService"
_SERVING: Final = frozenset({IN_SERVICE, "Updating", "SystemUpdating", "RollingBack"})
_CHANGING: Final = frozenset({"Creating", "Updating"})


def version_in(configuration: str, endpoint: str) -> int | None:
    """Return the version that a configuration of our function deploys; None if it is another's."""
    found = re.fullmatch(rf"v(\d+)-[0-9a-f]+-{re.escape(endpoint)}", configuration, re.IGNORECASE)
    return int(found[1]) if found else None


@dataclass(frozen=True)
class Serving:
    """The endpoint of a pipeline and its trial endpoint, as SageMaker describes them."""

    name: str
    endpoint: JsonView | None = None
    trial: JsonView | None = None
    unseen: frozenset[str] = frozenset()
    """Operations without permission, because of which the trial is unknown."""

    @classmethod
    def read(cls, workload: Workload) -> Serving:
        """Read both; the trial exists only where a function deploys.

        Nothing is decided by the trial, so that the permission to see it is not needed.
        """
        name, trial = workload.endpoint or "", None
        endpoint, aside = workload.endpoint_status(), replace(workload, unseen=set())
        if name and workload.on_approval:
            trial = aside.described("describe_endpoint", EndpointName=trial_of(name))
        return cls(name, endpoint, trial, frozenset(aside.unseen))

    @property
    def status(self) -> str | None:
        """The endpoint's status; None if it does not exist."""
        return str(self.endpoint["EndpointStatus"]) if self.endpoint else None

    @property
    def configuration(self) -> str:
        """The configuration that answers requests; empty if none does, or it is not known."""
        if self.endpoint is None or self.status not in _SERVING:
            return ""
        current = str(self.endpoint.get("EndpointConfigName", ""))
        if self.status == "Updating" and self._pending in ("", current):
            return ""
        return current

    @property
    def version(self) -> int | None:
        """The version that answers requests, if the function deployed it."""
        return version_in(self.configuration, self.name)

    @property
    def arriving(self) -> int | None:
        """The version to which the endpoint is changing."""
        if self.endpoint is None or self.status not in _CHANGING:
            return None
        return version_in(
            self._pending or str(self.endpoint.get("EndpointConfigName", "")), self.name
        )

    @property
    def tried(self) -> int | None:
        """The version on the trial endpoint."""
        return version_in(str((self.trial or {}).get("EndpointConfigName", "")), self.name)

    @property
    def trial_status(self) -> str | None:
        """The trial endpoint's status; None if it does not exist."""
        return str(self.trial["EndpointStatus"]) if self.trial else None

    @property
    def _pending(self) -> str:
        summary: JsonView = (self.endpoint or {}).get("PendingDeploymentSummary") or {}
        return str(summary.get("EndpointConfigName", ""))


def trial_of(endpoint: str) -> str:
    """Return the name of an endpoint's trial endpoint."""
    return f"try-{endpoint}"


def problem_of(workload: Workload, version: int) -> str:
    """Return what keeps a version from serving, as the function that deploys recorded it.

    Empty if it recorded nothing, or its record may not be read. A configuration that served has no
    problem any more.
    """
    reader = replace(workload, unseen=set())
    for config in reader.listed(
        "list_endpoint_configs", "EndpointConfigs", NameContains=workload.endpoint
    ):
        if version_in(config["EndpointConfigName"], workload.endpoint or "") != version:
            continue
        listed = reader.listed("list_tags", "Tags", ResourceArn=config["EndpointConfigArn"])
        tags = {tag["Key"]: tag["Value"] for tag in listed}
        if tags.get(OWNER_TAG) == workload.owner and SERVED_TAG not in tags:
            return str(tags.get(FAILED_TAG) or tags.get(ERROR_TAG, ""))
    return ""


def archive_of(workload: Workload, configuration: str) -> str:
    """Return the S3 URI of the model that a configuration serves; empty if it cannot be read."""
    reader = replace(workload, unseen=set())  # what may not be read is left out
    config = reader.described("describe_endpoint_config", EndpointConfigName=configuration or None)
    variants = config["ProductionVariants"] if config else []
    if len(variants) != 1:
        return ""
    model = reader.described("describe_model", ModelName=variants[0].get("ModelName"))
    container = model.get("PrimaryContainer") or model.get("Containers", [{}])[0] if model else {}
    return str(container.get("ModelDataUrl", ""))
