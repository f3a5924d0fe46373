"""Events of the emulated AWS: hear them, get each twice, and make a schedule's rule fire."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from boto3.session import Session

from tests.emulated import ACCOUNT, REGION

Event = dict[str, Any]
_BUS: Final = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"
_TWICE: Final = "emulator:send-events-twice"
"""`sagemaker_events.TWICE`, which this environment cannot import."""
_SETTLE_SECONDS: Final = 0.1


def tick(aws: Session, rule: str) -> None:
    """Make a rule with a schedule fire now: its targets get the scheduled event."""
    arn = aws.client("events").describe_rule(Name=rule)["Arn"]
    entry = {
        "Source": "aws.events",
        "DetailType": "Scheduled Event",
        "Detail": "{}",
        "Resources": [arn],
    }
    assert aws.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


@contextmanager
def sent_twice(aws: Session) -> Iterator[None]:
    """Let SageMaker send each event twice, as it may."""
    events = aws.client("events")
    events.tag_resource(ResourceARN=_BUS, Tags=[{"Key": _TWICE, "Value": "true"}])
    yield
    events.untag_resource(ResourceARN=_BUS, TagKeys=[_TWICE])


@contextmanager
def events_heard(aws: Session) -> Iterator[Callable[[], list[Event]]]:
    """Give a function that returns SageMaker's events since its last call, oldest first."""
    events, sqs = aws.client("events"), aws.client("sqs")
    name = f"heard-{uuid.uuid4().hex[:8]}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    events.put_rule(Name=name, EventPattern=json.dumps({"source": ["aws.sagemaker"]}))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn["QueueArn"]}])

    def heard() -> list[Event]:
        time.sleep(_SETTLE_SECONDS)
        found: list[Event] = []
        while got := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            found += [json.loads(message["Body"]) for message in got]
            for message in got:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    yield heard
    events.remove_targets(Rule=name, Ids=["queue"])
    events.delete_rule(Name=name)
    sqs.delete_queue(QueueUrl=url)
