"""SageMaker as `pause_endpoint` sees it: an endpoint that is deleted and created, and tags."""

from __future__ import annotations

from datetime import datetime, timedelta

from tests.functions.fakes.clock import Clock
from tests.functions.fakes.sagemaker import _WHEN, FakeSageMaker, Resource, _absent
from tests.functions.fakes.wire import ApiError, Fields


class FakePausing(FakeSageMaker):
    """The operations of `pause_endpoint` on SageMaker."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.start_seconds = 240.0
        self.fails_to_start = False

    @property
    def now(self) -> datetime:
        return _WHEN + timedelta(seconds=self.clock.now)

    def describe_endpoint(self, p: Fields) -> Fields:
        found = self._resource("Endpoint", p["EndpointName"])
        created = found.fields.get("created", _WHEN)
        return super().describe_endpoint(p) | {"CreationTime": created}

    def create_endpoint(self, p: Fields) -> Fields:
        name, config = p["EndpointName"], self._resource("EndpointConfig", p["EndpointConfigName"])
        if name in self.resources["Endpoint"]:
            raise ApiError("ValidationException", f'Cannot create already existing "{name}"')
        tags = {tag["Key"]: tag["Value"] for tag in p["Tags"]}
        made = self.make(
            "Endpoint", name, tags, config=config.name, status="Creating", created=self.now
        )
        self.clock.after(self.start_seconds, lambda: self._start(made))
        return {"EndpointArn": made.arn}

    def _start(self, made: Resource) -> None:
        made.fields["status"] = "Failed" if self.fails_to_start else "InService"

    def add_tags(self, p: Fields) -> Fields:
        self._of(p["ResourceArn"]).update({tag["Key"]: tag["Value"] for tag in p["Tags"]})
        return {"Tags": p["Tags"]}

    def delete_tags(self, p: Fields) -> Fields:
        for key in p["TagKeys"]:
            self._of(p["ResourceArn"]).pop(key, None)
        return {}

    def _of(self, arn: str) -> dict[str, str]:
        if arn not in {one.arn for one in self.resources["EndpointConfig"].values()}:
            _absent("Resource", arn)
        return self.tags[arn]
