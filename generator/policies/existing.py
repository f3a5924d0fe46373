"""What an organization's own log bucket and topic must allow, as statements for their policies.

They are emitted beside the templates if the settings name such a bucket or topic. `doctor` checks
that the policies that are there allow the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from troposphere import AWSObject, Template, kms, s3, sns

from generator.cfn.evaluator import resolve_templates
from generator.cfn.identifiers import StackLocation
from generator.policies.documents import FOLDER, sagemaker, statement, text
from generator.policies.resources import (
    alerts_use_key,
    deliver_access_logs,
    publish_alerts,
)
from generator.policies.statements import document
from generator.settings import Settings
from generator.wiring import BucketName
from pipeline.types import Json

LOG_BUCKET: Final = f"{FOLDER}/log-bucket-policy.json"
TOPIC: Final = f"{FOLDER}/alert-topic-policy.json"
TOPIC_KEY: Final = f"{FOLDER}/alert-topic-key-policy.json"
PATHS: Final = (LOG_BUCKET, TOPIC, TOPIC_KEY)
EXAMPLE: Final = StackLocation(account="111122223333", region="eu-west-1")
"""AWS's account id for examples; replace it with your own."""


def policies(settings: Settings, place: StackLocation | None = None) -> dict[str, Json]:
    """Return the policies by path; those of a topic are for its own account and region."""
    found = {}
    if settings.storage.log_bucket:
        name = BucketName(settings.storage.log_bucket.rpartition(":")[2])
        wanted = document(deliver_access_logs(name, settings.project))
        bucket = s3.BucketPolicy("Policy", Bucket=name, PolicyDocument=wanted)
        found[LOG_BUCKET] = _resolved(bucket, "PolicyDocument", place or EXAMPLE)
    if topic := settings.security.alert_topic:
        partition, _, region, account = topic.split(":")[1:5]
        there = StackLocation(account=account, region=region, partition=partition)
        policy = sns.TopicPolicy(
            "Policy", Topics=[topic], PolicyDocument=document(*publish_alerts(topic))
        )
        found[TOPIC] = _resolved(policy, "PolicyDocument", there)
        key = kms.Key("Key", KeyPolicy=document(*alerts_use_key()))
        found[TOPIC_KEY] = _resolved(key, "KeyPolicy", there)
    return found


def _resolved(resource: AWSObject, name: str, place: StackLocation) -> Json:
    template = Template()
    template.add_resource(resource)
    deployment = resolve_templates({"root": template.to_dict()}, place=place)
    found: Json = deployment.get("root", str(resource.title)).properties[name]
    return found


def render(settings: Settings) -> dict[str, str]:
    """Return the files' texts by path."""
    return {path: text(policy) for path, policy in policies(settings).items()}


def reading(settings: Settings) -> Iterator[Json]:
    """Yield the permissions to check what exists (`doctor`, `deploy`), for whoever deploys."""
    if settings.studio.in_use and not settings.studio.owns_domain:
        domain = sagemaker(f"domain/{settings.studio.domain}")
        yield statement("ReadDomain", ("sagemaker:DescribeDomain",), domain)
    if bucket := settings.storage.log_bucket:
        reads = ("s3:GetBucketLocation", "s3:GetBucketPolicy", "s3:GetEncryptionConfiguration")
        yield statement("ReadLogBucket", reads, (bucket,))
    if topic := settings.security.alert_topic:
        yield statement("ReadTopic", ("sns:GetTopicAttributes",), (topic,))
        keys = (":".join(["arn", topic.split(":")[1], "kms", *topic.split(":")[3:5], "key/*"]),)
        yield statement("ReadKeyOfTopic", ("kms:DescribeKey", "kms:GetKeyPolicy"), keys)
