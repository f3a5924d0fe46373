"""Calls to SageMaker about one resource, which may be gone."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from botocore.exceptions import ClientError

from functions.shared.errors import is_not_found
from pipeline.types import Json

LOG = logging.getLogger(__name__)

_NAMES: Final = {
    "endpoint": "EndpointName",
    "endpoint_config": "EndpointConfigName",
    "model": "ModelName",
    "model_package": "ModelPackageName",
}


class ManagedResource(NamedTuple):
    """A resource that a run created: its kind in the API's operations, its name and its ARN."""

    kind: str
    name: str
    arn: str


@dataclass
class Resources:
    """SageMaker's resources, and how many were removed."""

    sagemaker: Any
    removed: int = 0

    def describe(self, kind: str, name: str) -> Json | None:
        """Return SageMaker's description of a resource, if it exists."""
        return self.call(f"describe_{kind}", **{_NAMES[kind]: name})

    def models_of(self, config: str) -> list[str]:
        """Return the names of the models of a configuration."""
        described = self.describe("endpoint_config", config) or {}
        variants = described.get("ProductionVariants", [])
        return [variant["ModelName"] for variant in variants if "ModelName" in variant]

    def delete(self, resource: ManagedResource) -> None:
        """Delete a resource, unless it is gone."""
        name = resource.arn if resource.kind == "model_package" else resource.name
        if self.call(f"delete_{resource.kind}", **{_NAMES[resource.kind]: name}) is not None:
            self.removed += 1

    def call(self, operation: str, **names: str) -> Json | None:
        """Call SageMaker about one resource; return nothing if it is gone."""
        LOG.info("%s %s", operation, " ".join(names.values()))
        try:
            answer: Json = getattr(self.sagemaker, operation)(**names)
        except ClientError as error:
            if is_not_found(error):
                return None
            raise
        return answer


def model_of(name: str, config_arn: str) -> ManagedResource:
    """Return a model by name; its ARN, in lower case, is derived from a configuration's."""
    place = config_arn.partition(":endpoint-config/")[0]
    return ManagedResource("model", name, f"{place}:model/{name.lower()}")
