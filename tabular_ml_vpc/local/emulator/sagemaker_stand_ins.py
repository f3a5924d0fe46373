"""What stands for model servers if the emulator was started without jobs.

It answers with the object at the model's `ModelDataUrl`, if there is one, so that a test can say
what a model predicts. A deployment fails if `BROKEN` is in the model's name, and takes a while if
`SLOW` is; for a model from a package, also if the word is in the package's `ModelDataUrl`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from ministack.services import s3

from tabular_ml_vpc.local.emulator.sagemaker_packages import SERVED
from tabular_ml_vpc.local.emulator.sagemaker_runs import BROKEN, DEPLOYING_SECONDS, SLOW
from tabular_ml_vpc.local.emulator.sagemaker_store import STORE, Record
from tabular_ml_vpc.local.emulator.types import Fields
from tabular_ml_vpc.local.jobs import LocalJobError
from tabular_ml_vpc.local.serving import EndpointResponse

NOTHING = b'{"predictions": []}'


@dataclass(frozen=True)
class StandIn:
    """A fleet that answers with a stored object."""

    variant: str
    data_url: str

    def invoke(self, _body: bytes, _content_type: str, _accept: str) -> EndpointResponse:
        """Answer with the object, whatever the request."""
        place = urlsplit(self.data_url)
        stored = s3._get_object_data(place.netloc, place.path.lstrip("/"))
        return EndpointResponse(200, "application/json", stored or NOTHING, 0.0)

    def stop(self) -> None:
        """Nothing runs."""


class StandIns:
    """Launches them."""

    def takes_time(self, config: Fields) -> bool:
        """Whether a model is marked as `SLOW`."""
        return any(SLOW in mark for mark in _marks(config))

    def launch(self, _record: Record, config: Fields) -> StandIn:
        """Do what the marks of the models say."""
        if self.takes_time(config):
            time.sleep(DEPLOYING_SECONDS)
        if any(BROKEN in mark for mark in _marks(config)):
            raise LocalJobError("The primary container did not pass the ping health check.")
        variant = config["ProductionVariants"][0]
        return StandIn(variant["VariantName"], _container(variant).get("ModelDataUrl", ""))


def _marks(config: Fields) -> list[str]:
    found = []
    for variant in config["ProductionVariants"]:
        found.append(variant["ModelName"])
        container = _container(variant)
        if "ModelPackageName" in container:
            found.append(container.get("ModelDataUrl", ""))
    return found


def _container(variant: Fields) -> Fields:
    """Return what a variant serves; small tests name models that do not exist."""
    model = STORE.find("Model", variant)
    found: Fields = model.fields[SERVED][0] if model else {}
    return found
