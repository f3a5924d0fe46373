"""Every event of every function, with what is ours and what belongs to others around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from functions.clear_studio.handler import handler as clear_studio
from functions.empty_bucket.core import PERMISSION_TAG
from functions.empty_bucket.handler import handler as empty_bucket
from functions.pipeline_manager.handler import handler as pipeline_manager
from functions.seed_data.core import OWNER, TABLE, owner_mark
from functions.seed_data.handler import handler as seed_data
from functions.seed_data.table import BLOCK_ROWS
from functions.vpc_baseline.handler import handler as vpc_baseline
from generator.stacks.network_parts import BASELINE_SECONDS
from tests.functions.fakes.clock import Clock
from tests.functions.fakes.ec2 import ANYWHERE, FakeEc2, Group
from tests.functions.fakes.s3 import FakeS3, Upload
from tests.functions.fakes.sagemaker import FakeSageMaker
from tests.functions.fakes.studio import DOMAIN, App, FakeStudio
from tests.functions.fakes.wire import Backend
from tests.functions.pipeline_world import (
    BUCKET,
    ENDPOINT,
    GROUP,
    HASH,
    NAME,
    OTHER,
    SCRIPTS,
    Account,
    properties,
)
from tests.functions.pipeline_world import OWNER as OURS
from tests.functions.world import STACK_ID, Handler, Properties

LONGEST_SECONDS: Final = 900
QUICK_SECONDS: Final = 15.0
"""How long deletions take here: at least one look comes too early."""


def nothing() -> str:
    """Tell that nothing is wrong."""
    return ""


@dataclass
class Place:
    """The services of one case, and what to check in them; each check tells what is wrong."""

    backends: Mapping[str, Backend]
    foreign: Callable[[], object]
    """All that belongs to others, to compare it."""
    deployed: Callable[[], str] = nothing
    """After a Create or an Update that succeeded."""
    left: Callable[[], str] = nothing
    """After a Delete that succeeded."""


@dataclass(frozen=True)
class Scenario:
    """One event of one function in one situation."""

    function: str
    kind: str
    situation: str
    handler: Handler
    build: Callable[[Clock], Place]
    properties: Properties
    old: Properties = field(default_factory=dict)
    seconds: int = LONGEST_SECONDS

    @property
    def title(self) -> str:
        """The column of the table."""
        return f"{self.kind}, {self.situation}" if self.situation else self.kind


# vpc_baseline

ITSELF: Final = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-1"}]}
SSH: Final = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}


def _vpc(_clock: Clock) -> Place:
    ec2 = FakeEc2(
        Group("sg-1", "vpc-1", "default", inward=[ITSELF, SSH]),
        Group("sg-2", "vpc-1", "studio", inward=[ITSELF]),
        Group("sg-3", "vpc-2", "default", inward=[ITSELF]),
    )
    ours = ec2.groups["sg-1"]

    def deployed() -> str:
        return "rules are left" if ours.inward or ours.outward else ""

    assert ours.outward == [ANYWHERE]
    return Place(
        {"ec2": ec2}, lambda: repr([ec2.groups[name] for name in ("sg-2", "sg-3")]), deployed
    )


# seed_data

KEY: Final = "raw/data.csv"
MARK: Final = owner_mark(STACK_ID, "Resource")


def _table(rows: int, seed: int = 1) -> dict[str, str]:
    return {"Bucket": BUCKET, "Key": KEY, "Rows": str(rows), "Seed": str(seed)}


SMALL: Final = _table(200)
LARGE: Final = _table(2 * BLOCK_ROWS + 1000)


def _file(properties: Properties, existing: str) -> Callable[[Clock], Place]:
    """Return a bucket in which the key holds our `older` table, `theirs`, or nothing."""
    wanted = f"rows={properties['Rows']},seed={properties['Seed']}"

    def build(_clock: Clock) -> Place:
        s3 = FakeS3(BUCKET)
        s3.keeps_bodies = False
        s3.put(BUCKET, "raw/theirs.csv", b"x")
        if existing:
            mark = {OWNER: MARK, TABLE: "older"} if existing == "ours" else {}
            s3.put(BUCKET, KEY, b"existing", mark)

        def metadata() -> Mapping[str, str]:
            found = s3.buckets[BUCKET].current(KEY)
            return found.metadata if found else {}

        def foreign() -> object:
            others = [one for one in s3.buckets[BUCKET].versions if OWNER not in one.metadata]
            current = s3.buckets[BUCKET].current(KEY) if existing == "theirs" else None
            return repr([one for one in others if one.body is not None]), repr(current)

        def deployed() -> str:
            if existing == "theirs" or metadata().get(TABLE, "").endswith(wanted):
                return ""
            return f"the file is {metadata()}"

        def left() -> str:
            return "our table" if metadata().get(OWNER) == MARK else ""

        return Place({"s3": s3}, foreign, deployed, left)

    return build


# pipeline_manager

KEPT: Final = ("Endpoint", "EndpointConfig", "Model")
OTHERS_NAME: Final = "Other-1b2c"


def _account(clock: Clock, *, pipeline: bool, runs: bool, endpoint: str = "ours") -> Place:
    """Return an account with a pipeline, what its runs made, and the same of others."""
    account = Account(FakeS3(BUCKET), FakeSageMaker(clock))
    s3, sagemaker = account.s3, account.sagemaker
    sagemaker.endpoint_seconds = sagemaker.stop_seconds = QUICK_SECONDS
    s3.put(BUCKET, "code/other/train.py", b"theirs")
    account.have_pipeline(OTHER, OTHERS_NAME)
    sagemaker.run(OTHERS_NAME, "Executing")
    sagemaker.make("Model", "pipelines-o1-CreateModel-Abc", OTHER)
    sagemaker.make("EndpointConfig", f"{ENDPOINT}-theirs", OTHER, models=["x"])
    sagemaker.register(GROUP, OTHER)
    if pipeline:
        account.have_pipeline(OURS)
        s3.put(BUCKET, f"code/{HASH}/train.py", SCRIPTS["train.py"])
    if runs:
        _have_runs(account, endpoint)
    return Place(
        {"s3": s3, "sagemaker": sagemaker},
        lambda: _theirs(account),
        lambda: _deployment_problem(account),
        lambda: _leftovers(account),
    )


def _have_runs(account: Account, endpoint: str) -> None:
    """A run that deployed, one whose model was refused, and one under way."""
    sagemaker = account.sagemaker
    account.have_deployed(0)
    refused = sagemaker.run(NAME, "Failed")
    name = f"pipelines-{refused.arn.rpartition('/')[2]}-CreateModel-Abc"
    refused.made.append(("Model", sagemaker.make("Model", name, OURS).arn))
    sagemaker.run(NAME, "Executing")
    tags, used = (OURS, "S0") if endpoint == "ours" else (OTHER, "theirs")
    sagemaker.make("Endpoint", ENDPOINT, tags, config=f"{ENDPOINT}-{used}", status="InService")


def _theirs(account: Account) -> object:
    sagemaker = account.sagemaker
    return repr(
        (
            [one for one in account.s3.buckets[BUCKET].versions if HASH not in one.key],
            sagemaker.pipelines.get(OTHERS_NAME),
            [run for run in sagemaker.runs if run.pipeline == OTHERS_NAME],
            [
                one
                for kind in KEPT
                for one in sagemaker.resources[kind].values()
                if sagemaker.tags[one.arn] == OTHER
            ],
            [
                one
                for one in sagemaker.packages.values()
                if one["CustomerMetadataProperties"] == OTHER
            ],
        )
    )


def _deployment_problem(account: Account) -> str:
    pipeline = account.sagemaker.pipelines.get(NAME)
    if pipeline is None or "Steps" not in pipeline["PipelineDefinition"]:
        return "the pipeline is not as described"
    missing = {f"code/{HASH}/{name}" for name in SCRIPTS} - account.s3.buckets[BUCKET].readable()
    return f"missing: {sorted(missing)}" if missing else ""


def _leftovers(account: Account) -> str:
    sagemaker = account.sagemaker
    found = [
        one.name
        for kind in KEPT
        for one in sagemaker.resources[kind].values()
        if sagemaker.tags[one.arn] == OURS
    ]
    found += [
        arn for arn, one in sagemaker.packages.items() if one["CustomerMetadataProperties"] == OURS
    ]
    found += [NAME] if NAME in sagemaker.pipelines else []
    return ", ".join(found)


# clear_studio

STUDIO: Final = {"DomainId": DOMAIN, "DeleteSpaces": "true", "UserProfiles": "ana"}
MORE: Final = STUDIO | {"UserProfiles": "ana,bea"}


def _studio(clock: Clock, *, leaves: str = "") -> Place:
    """Return a domain in use; the profile that `leaves` has an app of its own."""
    studio = FakeStudio(clock)
    studio.app_seconds = studio.space_seconds = QUICK_SECONDS
    studio.profiles = {"ana": "InService"}
    if leaves:
        studio.profiles[leaves] = "InService"
        studio.apps += [App("hers", profile=leaves), App("his", profile="ana")]
    else:
        studio.profiles["guest"] = "InService"
        studio.apps = [App(f"app{n}", space=f"space{n}") for n in range(3)]
        studio.apps.append(App("default", kind="JupyterServer", profile="ana"))
        studio.spaces = {f"space{n}": "InService" for n in range(3)}

    def foreign() -> object:
        return studio.profiles.get("ana")

    def deployed() -> str:
        if leaves and any(app.status != "InService" for app in studio.apps if app.name == "his"):
            return "an app of a profile that stays"
        used = [a for a in studio.apps if leaves and a.profile == leaves and a.status != "Deleted"]
        return f"apps of {leaves}" if used else ""

    def left() -> str:
        apps = [app.name for app in studio.apps if app.status != "Deleted"]
        return ", ".join([*apps, *studio.spaces, *(set(studio.profiles) - {"ana"})])

    return Place({"sagemaker": studio}, foreign, deployed, left)


# empty_bucket


def _bucket(_clock: Clock, *, tagged: bool = True) -> Place:
    s3 = FakeS3(BUCKET, "other")
    bucket = s3.buckets[BUCKET]
    bucket.tags = {PERMISSION_TAG: STACK_ID} if tagged else {"team": "ml"}
    for key in ("raw/0.csv", "raw/0.csv", "raw/1.csv", "odd\nkey"):
        s3.put(BUCKET, key, b"x")
    s3.delete_object({"Bucket": BUCKET, "Key": "raw/0.csv"})
    bucket.uploads = {f"u{n}": Upload("big", {}) for n in range(2)}
    s3.put("other", "a", b"x")

    def foreign() -> object:
        return repr([s3.buckets["other"], None if tagged else bucket])

    def left() -> str:
        found = [*(one.key for one in bucket.versions), *bucket.uploads]
        return ", ".join(found) if tagged else ""

    return Place({"s3": s3}, foreign, left=left)


def _scenarios() -> tuple[Scenario, ...]:
    def of(
        handler: Handler, properties: Properties, seconds: int = LONGEST_SECONDS
    ) -> Callable[..., Scenario]:
        name = handler.__module__.split(".")[1]

        def make(kind: str, situation: str, build: Any, **other: Any) -> Scenario:
            return Scenario(
                name, kind, situation, handler, build, properties, seconds=seconds, **other
            )

        return make

    vpc = of(vpc_baseline, {"VpcId": "vpc-1", "Service": "s3"}, BASELINE_SECONDS)
    small, large = of(seed_data, SMALL), of(seed_data, LARGE)
    pipeline, bucket = of(pipeline_manager, properties()), of(empty_bucket, {"Bucket": BUCKET})
    studio = of(clear_studio, STUDIO)
    return (
        *(vpc(kind, "", _vpc) for kind in ("Create", "Update", "Delete")),
        small("Create", "one request", _file(SMALL, "")),
        large("Create", "in parts", _file(LARGE, "")),
        small("Update", "another table", _file(SMALL, "ours"), old=LARGE),
        small("Update", "file of others", _file(SMALL, "theirs"), old=LARGE),
        small("Delete", "", _file(SMALL, "ours")),
        small("Delete", "file of others", _file(SMALL, "theirs")),
        pipeline("Create", "", lambda clock: _account(clock, pipeline=False, runs=False)),
        pipeline("Update", "", lambda clock: _account(clock, pipeline=True, runs=False)),
        pipeline("Delete", "after runs", lambda clock: _account(clock, pipeline=True, runs=True)),
        pipeline(
            "Delete",
            "endpoint of others",
            lambda clock: _account(clock, pipeline=True, runs=True, endpoint="theirs"),
        ),
        pipeline(
            "Delete", "pipeline is gone", lambda clock: _account(clock, pipeline=False, runs=True)
        ),
        studio("Create", "", _studio),
        studio("Update", "a profile leaves", lambda clock: _studio(clock, leaves="bea"), old=MORE),
        studio("Delete", "in use", _studio),
        bucket("Create", "", _bucket),
        bucket("Update", "", _bucket),
        bucket("Delete", "", _bucket),
        bucket("Delete", "not tagged", lambda clock: _bucket(clock, tagged=False)),
    )


SCENARIOS: Final = _scenarios()
