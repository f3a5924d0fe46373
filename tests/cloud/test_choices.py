"""A deployment with the choices of an organisation made: locked data, a replica, packages."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from generator.package import deployed
from generator.policies import existing
from generator.settings import Mode, Settings
from generator.settings_people import Persona
from tabular_ml_vpc.local.emulator.inventory import inventory
from tabular_ml_vpc.reports.audit.checkers import plain_stacks
from tests.cloud.account import Account, Templates
from tests.cloud.test_deployment import put_run_event
from tests.cloud.test_endpoints import listening
from tests.emulated import AWSCLI_PYTHON

STACK = "choices"
REPLICA = "copies-of-the-tests"
LOGS = "access-logs-of-the-tests"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:alerts-of-the-tests"
REPLICA_KEY = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
NEVER = "cron(0 6 1 1 ? 2199)"
CHOSEN = Settings.model_validate(
    {
        "storage": {
            "object_lock_days": 30,
            "replica_bucket": f"arn:aws:s3:::{REPLICA}",
            "replica_key": REPLICA_KEY,
            "log_bucket": f"arn:aws:s3:::{LOGS}",
        },
        "security": {"alert_topic": TOPIC},
        "functions": {"reserved_concurrency": 2, "tracing": False},
        "packages": {"source": "pypi", "internal_names": ["acme"]},
        "pipeline": {"schedule": NEVER, "success_messages": True},
        "watching": {"dashboard": True, "idle_hours": 168, "latency_milliseconds": 500},
        "studio": {
            "people": [{"name": str(one), "persona": one} for one in Persona],
            "personal_prefixes": True,
        },
    }
)


OTHER_PACKAGES = {"source": "existing", "domain": "acme", "repository": "shared"}


def choose(templates: Templates, **changed: Any) -> None:
    """Put the templates of the chosen settings in the place of the default ones."""
    settings = Settings.model_validate(CHOSEN.model_dump() | changed)
    for name, template in plain_stacks(settings, Mode.PROD).items():
        templates[name] = dict(template)


@pytest.fixture(scope="module")
def outputs(account: Account) -> Iterator[dict[str, str]]:
    """Deploy, give the stack's outputs, and remove the stack with what it leaves."""
    s3 = account.client("s3")
    account.aws.run("s3", "mb", f"s3://{REPLICA}")
    s3.put_bucket_versioning(Bucket=REPLICA, VersioningConfiguration={"Status": "Enabled"})
    account.aws.run("s3", "mb", f"s3://{LOGS}")
    s3.put_object(Bucket=LOGS, Key="of/others", Body=b"log")
    sns = account.client("sns")
    sns.create_topic(Name=TOPIC.rpartition(":")[2])
    policy = json.dumps(existing.policies(CHOSEN)[existing.TOPIC])
    sns.set_topic_attributes(TopicArn=TOPIC, AttributeName="Policy", AttributeValue=policy)
    account.deploy(account.package(Mode.PROD, choose), STACK)
    given = account.outputs(STACK)
    yield given
    assert account.delete(STACK) == "DELETE_COMPLETE", account.failures(STACK)
    left = [kind for kind in inventory(account.session) if "package" in kind or "cycle" in kind]
    assert left == []
    assert account.client("cloudwatch").list_dashboards()["DashboardEntries"] == []
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=LOGS)["Contents"]] == ["of/others"]
    assert {"TopicArn": TOPIC} in sns.list_topics()["Topics"]
    sns.delete_topic(TopicArn=TOPIC)
    s3.delete_bucket_policy(Bucket=given["DataBucket"])
    for bucket in (given["DataBucket"], LOGS, REPLICA):
        remove(s3, bucket)


def remove(s3: Any, bucket: str) -> None:
    """Delete every version, as somebody who may bypass governance, and the bucket."""
    listed = s3.list_object_versions(Bucket=bucket)
    for one in [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]:
        s3.delete_object(
            Bucket=bucket,
            Key=one["Key"],
            VersionId=one["VersionId"],
            BypassGovernanceRetention=True,
        )
    s3.delete_bucket(Bucket=bucket)


def test_the_stack_stands_and_its_pipeline_runs(account: Account, outputs: dict[str, str]) -> None:
    arn = account.run_pipeline(outputs["PipelineName"])
    described = account.client("sagemaker").describe_pipeline_execution(PipelineExecutionArn=arn)
    assert described["PipelineExecutionStatus"] == "Succeeded"


def test_each_person_has_the_role_of_their_persona(
    account: Account, outputs: dict[str, str]
) -> None:
    sagemaker = account.client("sagemaker")
    roles = {}
    for name in outputs["UserProfiles"].split(","):
        profile = sagemaker.describe_user_profile(
            DomainId=outputs["DomainId"], UserProfileName=name
        )
        role = profile.get("UserSettings", {}).get("ExecutionRole", "")
        roles[name] = [one for one in ("MlEngineerRole", "ReviewerRole") if one in role]
    assert roles == {
        "data-scientist": [],
        "ml-engineer": ["MlEngineerRole"],
        "reviewer": ["ReviewerRole"],
    }


def test_the_endpoint_has_a_dashboard_and_alarms_that_the_existing_topic_gets(
    account: Account, outputs: dict[str, str]
) -> None:
    cloudwatch = account.client("cloudwatch")
    body = cloudwatch.get_dashboard(DashboardName=outputs["PipelineName"])["DashboardBody"]
    (shown,) = [
        one["properties"]["alarms"] for one in json.loads(body)["widgets"] if one["type"] == "alarm"
    ]
    alarms = {one["AlarmArn"]: one for one in cloudwatch.describe_alarms()["MetricAlarms"]}
    assert set(shown) == set(alarms)
    assert len(shown) == 4
    for one in alarms.values():
        assert one["AlarmActions"] == [TOPIC]
    assert f'"{outputs["EndpointName"]}"' in body
    assert "${" not in body


def test_the_functions_could_write_into_the_locked_bucket(
    account: Account, outputs: dict[str, str]
) -> None:
    listed = account.client("s3").list_objects_v2(Bucket=outputs["DataBucket"])["Contents"]
    keys = [one["Key"] for one in listed]
    assert "raw/data.csv" in keys
    assert [key for key in keys if key.startswith("code/")]


def test_a_locked_version_cannot_be_deleted(account: Account, outputs: dict[str, str]) -> None:
    s3, bucket = account.client("s3"), outputs["DataBucket"]
    version = s3.head_object(Bucket=bucket, Key="raw/data.csv")["VersionId"]
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=bucket, Key="raw/data.csv", VersionId=version)


def test_logs_and_alerts_go_to_what_exists(account: Account, outputs: dict[str, str]) -> None:
    assert (outputs["LogBucket"], outputs["AlertTopic"]) == (LOGS, TOPIC)
    logging = account.client("s3").get_bucket_logging(Bucket=outputs["DataBucket"])
    assert logging["LoggingEnabled"]["TargetBucket"] == LOGS
    assert logging["LoggingEnabled"]["TargetPrefix"].startswith(f"{STACK}-")
    events = account.client("events")
    rules = events.list_rules()["Rules"]
    targets = [
        target["Arn"]
        for rule in rules
        for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
    ]
    assert TOPIC in targets


def started_by(account: Account, rule: str, target: dict[str, Any], pipeline: str) -> list[str]:
    """Let a rule with this target match an event, for nobody waits for the time; return the runs.

    A new rule is deleted afterwards; the deployed one remains, disabled.
    """
    events, sagemaker = account.client("events"), account.client("sagemaker")

    def runs() -> set[str]:
        listed = sagemaker.list_pipeline_executions(PipelineName=pipeline)
        return {one["PipelineExecutionArn"] for one in listed["PipelineExecutionSummaries"]}

    before = runs()
    events.put_rule(Name=rule, EventPattern='{"source": ["tests"]}')
    events.put_targets(Rule=rule, Targets=[target])
    events.put_events(Entries=[{"Source": "tests", "DetailType": "due", "Detail": "{}"}])
    time.sleep(0.5)
    events.disable_rule(Name=rule)
    return sorted(runs() - before)


def test_the_rule_of_the_schedule_alone_starts_a_run(
    account: Account, outputs: dict[str, str]
) -> None:
    events, pipeline = account.client("events"), outputs["PipelineName"]
    name = f"{pipeline}-run-schedule"
    assert events.describe_rule(Name=name)["ScheduleExpression"] == NEVER
    (target,) = events.list_targets_by_rule(Rule=name)["Targets"]

    assert started_by(account, "another-rule", target, pipeline) == []
    (run,) = started_by(account, name, target, pipeline)

    assert account.status_of(run) == "Succeeded"
    events.remove_targets(Rule="another-rule", Ids=[target["Id"]])
    events.delete_rule(Name="another-rule")


def test_the_topic_that_exists_tells_of_a_success_as_often_as_the_event_comes(
    account: Account, outputs: dict[str, str]
) -> None:
    pipeline = outputs["PipelineName"]
    with listening(account, TOPIC) as heard:
        for status in ("Executing", "Succeeded", "Succeeded"):
            put_run_event(account, pipeline, status)
        said = heard()
    assert said.count("A run of the pipeline succeeded") == 2
    assert f"pipeline/{pipeline}/execution/abcdefghijkl` shows its metrics" in said


def test_what_is_written_is_copied(account: Account, outputs: dict[str, str]) -> None:
    s3 = account.client("s3")
    s3.put_object(Bucket=outputs["DataBucket"], Key="raw/mine.csv", Body=b"label,x\n1,2\n")
    copy = s3.get_object(Bucket=REPLICA, Key="raw/mine.csv")
    assert copy["Body"].read() == b"label,x\n1,2\n"


def test_every_function_has_its_reservation(account: Account, outputs: dict[str, str]) -> None:
    assert outputs
    functions = account.client("lambda")
    names = [one["FunctionName"] for one in functions.list_functions()["Functions"]]
    reserved = [
        functions.get_function_concurrency(FunctionName=name)["ReservedConcurrentExecutions"]
        for name in names
        if name.startswith(f"{STACK}-")
    ]
    assert reserved == [2] * len(deployed(CHOSEN))


def test_the_script_of_every_app_gets_a_token_for_the_deployment_s_repository(
    account: Account, outputs: dict[str, str], tmp_path: Path
) -> None:
    domain = account.client("sagemaker").describe_domain(DomainId=outputs["DomainId"])
    people = domain["DefaultUserSettings"]
    configs = {
        people[f"{app}AppSettings"]["BuiltInLifecycleConfigArn"].rpartition("/")[2]
        for app in ("JupyterLab", "CodeEditor")
    }
    assert len(configs) == 2
    for name in configs:
        space = tmp_path / name
        started = started_with(account, name, space)
        index = started.stdout.split()[-1]
        environment = {**account.aws.environment, "PATH": f"{AWSCLI_PYTHON.parent}:/usr/bin:/bin"}
        token = subprocess.run(
            [space / "usr/local/bin/keyring", "get", index, "aws"],
            env=environment,
            check=True,
            text=True,
            capture_output=True,
        )
        assert len(token.stdout.strip()) > 20
    (repository,) = account.client("codeartifact").list_repositories()["repositories"]
    endpoint = account.client("codeartifact").get_repository_endpoint(
        domain=repository["domainName"], repository=repository["name"], format="pypi"
    )
    assert index == f"{endpoint['repositoryEndpoint']}simple/"


def started_with(account: Account, config: str, space: Path) -> subprocess.CompletedProcess[str]:
    """Run a lifecycle configuration as an app does when it starts."""
    for folder in ("etc", "usr/local/bin"):
        (space / folder).mkdir(parents=True)
    sagemaker = account.client("sagemaker")
    found = sagemaker.describe_studio_lifecycle_config(StudioLifecycleConfigName=config)
    script = base64.b64decode(found["StudioLifecycleConfigContent"]).decode()
    return subprocess.run(
        ["/bin/bash", "-s"],
        input=script,
        env={"SPACE_ROOT": str(space), "PATH": "/usr/bin:/bin"},
        check=True,
        text=True,
        capture_output=True,
    )


def test_a_script_in_use_cannot_be_deleted(account: Account, outputs: dict[str, str]) -> None:
    assert outputs
    for name in configs(account):
        with pytest.raises(ClientError, match="ResourceInUse"):
            account.client("sagemaker").delete_studio_lifecycle_config(
                StudioLifecycleConfigName=name
            )


def configs(account: Account) -> set[str]:
    """Return the names of the lifecycle configurations."""
    listed = account.client("sagemaker").list_studio_lifecycle_configs()["StudioLifecycleConfigs"]
    return {one["StudioLifecycleConfigName"] for one in listed}


def test_another_repository_replaces_the_scripts_and_removes_the_copies(
    account: Account, outputs: dict[str, str]
) -> None:
    before = configs(account)
    change = partial(choose, packages=OTHER_PACKAGES)
    account.deploy(account.package(Mode.PROD, change), STACK)
    assert len(configs(account)) == len(before)
    assert configs(account).isdisjoint(before)
    assert account.client("codeartifact").list_domains()["domains"] == []
    assert account.outputs(STACK)["DomainId"] == outputs["DomainId"]
