"""A deployed pipeline with what its runs made, and what others made beside it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from functions.shared.properties import property_name
from pipeline.definition import OWNER_TAG, Environment
from pipeline.prediction import SUFFIX
from tests.functions.fakes.s3 import FakeS3
from tests.functions.fakes.sagemaker import FakeSageMaker, Run
from tests.functions.recorder import ACCOUNT, KEY_ARN, REGION
from tests.functions.world import STACK_ID, World

NAME = "Demo-4f2a"
BUCKET = "demo-data"
HASH = "0123abcd"
ENDPOINT = "demo-4f2a"
GROUP = "demo-4f2a"
OWNER = {OWNER_TAG: STACK_ID}
OTHER = {OWNER_TAG: STACK_ID.replace("demo", "other")}
SCRIPTS = {
    "preprocess.py": b"print('preprocess')\n",
    "train.py": b"print('train')\n",
    "evaluate.py": b"print('evaluate')\n",
    "inference.py": b"print('inference')\n",
}

_ROLE = f"arn:aws:iam::{ACCOUNT}:role"
_REGISTRY = f"111122223333.dkr.ecr.{REGION}.amazonaws.com"

ENVIRONMENT = Environment(
    pipeline_name=NAME,
    endpoint_name=ENDPOINT,
    model_package_group=GROUP,
    bucket=BUCKET,
    key_arn=KEY_ARN,
    pipeline_role_arn=f"{_ROLE}/demo-pipeline",
    processing_role_arn=f"{_ROLE}/demo-processing",
    training_role_arn=f"{_ROLE}/demo-training",
    model_role_arn=f"{_ROLE}/demo-model",
    subnet_ids=("subnet-1", "subnet-2"),
    security_group_ids=("sg-1",),
    training_image=f"{_REGISTRY}/autogluon-training:1.5.0-cpu-py312-ubuntu22.04",
    inference_image=f"{_REGISTRY}/autogluon-inference:1.5.0-cpu-py312-ubuntu22.04",
    processing_instance_type="ml.m5.large",
    training_instance_type="ml.m5.xlarge",
    endpoint_instance_type="ml.c6i.large",
    quality_metric="roc_auc",
    quality_threshold=0.7,
    code_prefix=f"code/{HASH}",
    owner=STACK_ID,
)


def _as_sent(value: object) -> str:
    """Return a property as CloudFormation sends it."""
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def properties(**changes: str) -> dict[str, str]:
    """Return the resource's properties as CloudFormation sends them."""
    values = asdict(ENVIRONMENT) | {"source_hash": HASH} | changes
    del values["code_prefix"]
    return {property_name(name): _as_sent(value) for name, value in values.items()}


PREDICTIONS = f"{NAME}{SUFFIX}"
"""The pipeline of batch predictions beside it."""


def of_predictions() -> dict[str, str]:
    """Return the properties of the pipeline of batch predictions."""
    return properties(pipeline_name=PREDICTIONS) | {"Predicts": "true"}


@dataclass
class Account:
    """The services behind the pipeline manager, and shortcuts to what is in them."""

    s3: FakeS3
    sagemaker: FakeSageMaker

    def have_pipeline(self, tags: dict[str, str], name: str = NAME) -> None:
        """Put a pipeline in place that somebody made."""
        self.sagemaker.create_pipeline(
            {
                "PipelineName": name,
                "PipelineDefinition": "{}",
                "RoleArn": f"{_ROLE}/demo-pipeline",
                "ClientRequestToken": f"token-of-{name}",
                "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
            }
        )

    def have_run(self, number: int, tags: dict[str, str] | None = None) -> Run:
        """Put a run in place that went to its end, as a pipeline's run does.

        Names get a suffix of the service's; the endpoint is made once and then updated.
        """
        tags = OWNER if tags is None else tags
        model = self.sagemaker.make("Model", f"pipelines-x{number}-CreateModel-Abc", tags)
        config = self.sagemaker.make(
            "EndpointConfig", f"{ENDPOINT}-Sfx{number}", tags, models=[model.name]
        )
        endpoints = self.sagemaker.resources["Endpoint"]
        if ENDPOINT not in endpoints:
            self.sagemaker.make("Endpoint", ENDPOINT, tags, config=config.name, status="InService")
        endpoints[ENDPOINT].fields["config"] = config.name
        package = self.sagemaker.register(GROUP, tags)
        return self.sagemaker.run(
            NAME,
            "Succeeded",
            ("RegisterModel", package),
            ("Model", model.arn),
            ("EndpointConfig", config.arn),
            ("Endpoint", endpoints[ENDPOINT].arn),
        )

    def have_deployed(self, number: int) -> Run:
        """Put a run in place whose model has the run's name, and no endpoint (yet)."""
        run = self.sagemaker.run(NAME, "Succeeded")
        name = f"pipelines-{run.arn.rpartition('/')[2]}-CreateModel-Abc"
        model = self.sagemaker.make("Model", name, OWNER)
        config = self.sagemaker.make(
            "EndpointConfig", f"{ENDPOINT}-S{number}", OWNER, models=[name]
        )
        run.made += [("Model", model.arn), ("EndpointConfig", config.arn)]
        run.made.append(("RegisterModel", self.sagemaker.register(GROUP, OWNER)))
        return run

    def names(self, kind: str) -> set[str]:
        """Return the names of the things of a kind that are there."""
        return set(self.sagemaker.resources[kind])

    @property
    def is_clean(self) -> bool:
        """Tell whether nothing is left."""
        left = [*self.sagemaker.resources.values(), self.sagemaker.packages]
        return not any(left) and NAME not in self.sagemaker.pipelines


@dataclass
class Deployment(Account):
    """An account with the function's world around it."""

    world: World
