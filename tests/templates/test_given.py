"""An existing log bucket and topic: what the stack then does not make, and what they must allow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from generator import emit
from generator.policies import existing
from generator.resolved import resolve
from generator.settings import Settings

BUCKET = "arn:aws:s3:::org-logs"
TOPIC = "arn:aws:sns:eu-west-1:111122223333:org-alerts"


def settings(**sections: Any) -> Settings:
    return Settings.model_validate(sections)


def test_access_logs_go_to_the_bucket_that_exists_below_the_stacks_name() -> None:
    made = resolve(settings(storage={"log_bucket": BUCKET}))
    (data,) = made.of_type("AWS::S3::Bucket")
    logging = data.properties["LoggingConfiguration"]
    assert logging["DestinationBucketName"] == "org-logs"
    assert logging["LogFilePrefix"].endswith("/")
    assert logging["LogFilePrefix"].startswith(made.place.stack_name)
    assert made.outputs["root"]["LogBucket"] == "org-logs"


def test_nothing_of_ours_can_touch_the_bucket_that_exists() -> None:
    made = resolve(settings(storage={"log_bucket": BUCKET}))
    named = [one.logical_id for one in made if "org-logs" in json.dumps(one.properties)]
    assert set(named) == {"DataBucket", "StorageStack"} & set(named)
    assert "DataBucket" in named
    emptied = [one.logical_id for one in made.of_type("Custom::EmptyBucket")]
    assert emptied == ["EmptyDataBucket"]


def test_every_alert_goes_to_the_topic_that_exists() -> None:
    pipelines = [{"name": "main"}, {"name": "churn", "label": "y"}]
    made = resolve(settings(security={"alert_topic": TOPIC}, pipelines=pipelines))
    assert [one.type for one in made if one.type.startswith("AWS::SNS::")] == []
    for rule in made.of_type("AWS::Events::Rule"):
        assert [target["Arn"] for target in rule.properties["Targets"]] == [TOPIC]
    for alarm in made.of_type("AWS::CloudWatch::Alarm"):
        assert alarm.properties["AlarmActions"] == [TOPIC]
    assert "AlertEmail" not in made.parameters["root"]
    sids = [one["Sid"] for one in made.get("security", "Key").properties["KeyPolicy"]["Statement"]]
    assert "AlarmsUseKey" not in sids
    assert "EventBridgeUsesKey" in sids


def test_the_statements_that_both_need_are_written_and_removed_again(tmp_path: Path) -> None:
    chosen = settings(storage={"log_bucket": BUCKET}, security={"alert_topic": TOPIC})
    texts = emit.render(chosen)
    assert set(existing.PATHS) <= texts.keys()
    (log,) = json.loads(texts[existing.LOG_BUCKET])["Statement"]
    assert log["Resource"] == [f"{BUCKET}/tabular*"]
    emit.emit(texts, tmp_path)
    changed = emit.emit(emit.render(Settings()), tmp_path)
    assert set(existing.PATHS) <= set(changed)
    assert not (tmp_path / existing.TOPIC).exists()


@pytest.mark.parametrize("path", existing.PATHS)
def test_by_default_no_such_statements_are_written(path: str) -> None:
    assert path not in emit.render(Settings())
