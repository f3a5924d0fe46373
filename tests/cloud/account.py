"""An emulated account into which the tests deploy the real templates with the real command."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boto3.session import Session
from botocore.exceptions import ClientError

from generator import emit
from generator.cfn.yaml_text import to_yaml
from generator.files import DIST, REPOSITORY, TEMPLATES
from generator.settings import Mode, Settings
from generator.stacks import root
from tabular_ml_vpc.local.emulator.awscli import AwsCli
from tabular_ml_vpc.reports.audit.checkers import plain_stacks

Templates = dict[str, dict[str, Any]]
Change = Callable[[Templates], None]
CSV = b"age,label\n31,yes\n47,no\n"
FAST = {"Rows": "500"}
"""A deployment's parameters, for the sake of time."""


@dataclass(frozen=True)
class Account:
    """One account, with a bucket for what `aws cloudformation package` uploads."""

    aws: AwsCli
    session: Session
    artifacts: str
    folder: Path
    packaged: dict[Mode, Path] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """Return a client of the account's owner."""
        return self.session.client(service)

    def package(self, mode: Mode = Mode.DEV, change: Change | None = None) -> Path:
        """Return the packaged root template, of the templates as emitted or as changed."""
        if change is not None:
            return self.package_of(self._changed(mode, change), mode)
        if mode not in self.packaged:
            self.packaged[mode] = self.package_of(self.as_emitted, mode)
        return self.packaged[mode]

    @property
    def as_emitted(self) -> Path:
        """Return the folder with the templates and zips as they were when the account opened."""
        return self.folder / "as-emitted"

    def package_of(self, source: Path, mode: Mode = Mode.DEV) -> Path:
        """Return the packaged root template of a folder that holds templates and zips."""
        packaged = self.folder / f"{source.name}-{mode}.yaml"
        self.aws.run(
            *("cloudformation", "package"),
            *("--template-file", str(source / TEMPLATES[mode] / "root.yaml")),
            *("--s3-bucket", self.artifacts, "--output-template-file", str(packaged)),
        )
        return packaged

    def _changed(self, mode: Mode, change: Change) -> Path:
        """Return a folder with changed templates, and the zips beside them."""
        place = self.folder / f"changed-{len(list(self.folder.iterdir()))}"
        shutil.copytree(self.as_emitted / DIST, place / DIST)
        templates = {name: emit.as_dict(t) for name, t in root.build(Settings(), mode).items()}
        change(templates)
        for name, template in templates.items():
            path = place / TEMPLATES[mode] / f"{name}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(to_yaml(template, "Changed by a test"), encoding="utf-8")
        return place

    def deploy(self, packaged: Path, stack: str, check: bool = True, **parameters: str) -> int:
        """Deploy as the README says; return the command's exit status."""
        given = [f"{name}={value}" for name, value in (FAST | parameters).items()]
        done = self.aws.run(
            *("cloudformation", "deploy", "--template-file", str(packaged), "--stack-name", stack),
            *("--capabilities", "CAPABILITY_IAM", "--no-fail-on-empty-changeset"),
            *("--parameter-overrides", *given),
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{done.stdout}{done.stderr}\n{self.failures(stack)}")
        return done.returncode

    def delete(self, stack: str) -> str:
        """Delete as the README says; return the stack's last status."""
        stack_id = self.stack(stack)["StackId"]
        self.aws.run("cloudformation", "delete-stack", "--stack-name", stack)
        self.aws.run(
            *("cloudformation", "wait", "stack-delete-complete", "--stack-name", stack_id),
            check=False,
        )
        return str(self.stack(stack_id)["StackStatus"])

    def stack(self, name: str) -> dict[str, Any]:
        """Return what CloudFormation says of a stack."""
        found = self.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
        return dict(found)

    def outputs(self, stack: str) -> dict[str, str]:
        """Return a stack's outputs."""
        return {o["OutputKey"]: o["OutputValue"] for o in self.stack(stack)["Outputs"]}

    def nested(self, stack: str, name: str) -> str:
        """Return the id of one nested stack."""
        return self.resource(stack, f"{name.capitalize()}Stack")

    def resource(self, stack: str, logical_id: str) -> str:
        """Return a resource's physical id."""
        found = self.client("cloudformation").describe_stack_resource(
            StackName=stack, LogicalResourceId=logical_id
        )
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def failures(self, stack: str) -> str:
        """Return the reasons of everything that failed, in deleted nested stacks too."""
        client = self.client("cloudformation")
        waiting, lines = [stack], []
        for one in waiting:
            events = client.describe_stack_events(StackName=one)["StackEvents"]
            for event in events:
                child = event.get("PhysicalResourceId", "")
                if ":stack/" in child and child not in (*waiting, event["StackId"]):
                    waiting.append(child)
                if event["ResourceStatus"].endswith("_FAILED"):
                    lines.append(
                        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}"
                    )
        return "\n".join(lines)

    def exists(self, bucket: str) -> bool:
        """Tell whether a bucket is there."""
        try:
            self.client("s3").head_bucket(Bucket=bucket)
        except ClientError:
            return False
        return True

    def run_pipeline(self, name: str, **request: object) -> str:
        """Start a run and return its ARN; the emulator ends it at once unless it is held."""
        started = self.client("sagemaker").start_pipeline_execution(PipelineName=name, **request)
        return str(started["PipelineExecutionArn"])

    def status_of(self, execution: str) -> str:
        """Return a run's status, and why it failed."""
        sagemaker = self.client("sagemaker")
        found = sagemaker.describe_pipeline_execution(PipelineExecutionArn=execution)
        return f"{found['PipelineExecutionStatus']} {found.get('FailureReason', '')}".strip()

    def endpoint_of(self, outputs: dict[str, str]) -> dict[str, Any]:
        """Return what changes if anything is deployed to a stack's endpoint."""
        found = self.client("sagemaker").describe_endpoint(EndpointName=outputs["EndpointName"])
        keys = ("EndpointConfigName", "CreationTime", "LastModifiedTime")
        return {key: found[key] for key in keys}

    def put(self, bucket: str, key: str, body: bytes = b"x") -> None:
        """Upload an object."""
        self.client("s3").put_object(Bucket=bucket, Key=key, Body=body)

    def read(self, bucket: str, key: str) -> bytes:
        """Return an object's content."""
        return bytes(self.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())

    def empty(self, bucket: str) -> None:
        """Remove a bucket that a test made or that was retained, with all that is in it."""
        self.client("s3").delete_bucket_policy(Bucket=bucket)
        versions = self.client("s3").list_object_versions(Bucket=bucket)
        for one in [*versions.get("Versions", []), *versions.get("DeleteMarkers", [])]:
            self.client("s3").delete_object(
                Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"]
            )
        self.client("s3").delete_bucket(Bucket=bucket)


def open_account(aws: AwsCli, session: Session, artifacts: str, folder: Path) -> Account:
    """Return the account, with the templates and zips as they are now in a folder of their own."""
    aws.run("s3", "mb", f"s3://{artifacts}")
    for part in (TEMPLATES[Mode.DEV], DIST):
        shutil.copytree(REPOSITORY / part, folder / "as-emitted" / part)
    return Account(aws, session, artifacts, folder)


def statements(templates: Templates, stack: str, policy: str) -> list[dict[str, Any]]:
    """Return the statements of one role's rights, to be changed in place."""
    document = templates[stack]["Resources"][policy]["Properties"]["PolicyDocument"]
    found: list[dict[str, Any]] = document["Statement"]
    return found


def chosen(settings: Settings, mode: Mode = Mode.DEV) -> Change:
    """Return a change that puts the templates of these settings in the place of all others."""

    def change(templates: Templates) -> None:
        templates.clear()
        for name, template in plain_stacks(settings, mode).items():
            templates[name] = dict(template)

    return change


def without_action(stack: str, policy: str, action: str) -> Change:
    """Return a change that takes one action out of a role's rights."""

    def change(templates: Templates) -> None:
        left = []
        for statement in statements(templates, stack, policy):
            actions = [one for one in statement["Action"] if one != action]
            if actions:
                left.append({**statement, "Action": actions})
        before = json.dumps(statements(templates, stack, policy))
        statements(templates, stack, policy)[:] = left
        if json.dumps(left) == before:
            raise AssertionError(f"{policy} has no {action}")

    return change
