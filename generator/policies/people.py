"""Permissions of the pipeline service and of people in Studio, who start jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from awacs import codeartifact, ec2, ecr, iam, kms, logs, s3, sagemaker, sts
from awacs.aws import (
    Condition,
    Null,
    NumericLessThanEquals,
    Statement,
    StringEquals,
    StringLike,
)
from troposphere import Sub

from generator.images import Repository
from generator.policies.jobs import (
    Folders,
    files_of_all,
    grant_key_for_volumes,
    read_prefixes,
    write_prefixes,
)
from generator.policies.statements import (
    allow,
    allow_anywhere,
    arn,
    beginning_with,
    bucket_arn,
    objects_arn,
    package_domain_arn,
    package_repository_arn,
    role_arn,
    use_key_of_logs,
    use_key_through,
)
from generator.wiring import BucketName, Expression, KeyArn, RoleArn, RoleName, UniqueName
from pipeline.layout import (
    ANSWERS,
    ASYNCHRONOUS,
    FAILURES,
    MODELS,
    PREDICTIONS,
    PROCESSED,
    RAW,
    REQUESTS,
    folder,
    named,
)
from pipeline.prediction import SUFFIX

SAGEMAKER = "sagemaker.amazonaws.com"
MODEL = "Model"
"""Label of the role that serves models."""
CODEARTIFACT = "codeartifact.amazonaws.com"
TOKEN_SECONDS = 3600
"""The longest life of a token for CodeArtifact, which cannot be revoked; AWS's default is 12 hours.
One token serves one command of pip."""


def pass_role(sid: str, role: RoleName | RoleArn, service: str = SAGEMAKER) -> Statement:
    """Pass one role to one service."""
    return allow(
        sid,
        [iam.PassRole],
        [role_arn(role)],
        Condition(StringEquals("iam:PassedToService", service)),
    )


def pipeline(
    name: UniqueName,
    bucket: BucketName,
    key: KeyArn,
    roles: Sequence[tuple[str, RoleName | RoleArn]],
    registered: Sequence[Repository],
    at: Folders = folder,
    *,
    deploys: bool,
    guards: Sequence[Statement] = (),
) -> list[Statement]:
    """Return the pipeline service's permissions, for the definition's steps.

    Source: SageMaker developer guide, "IAM Access Management" of Pipelines, and the Service
    Authorization Reference. ``roles`` are (label, role) of jobs and models; ``registered`` are the
    repositories of the images that a registered model names. Unless it ``deploys``, the service
    creates neither models nor endpoints. ``guards`` are Denies.
    """
    return [
        *guards,
        *_run_jobs(),
        *(_deploy(name) if deploys else []),
        *_register(name),
        tag_what_is_made([arn("sagemaker", "*")]),
        *[pass_role(f"Pass{label}Role", one) for label, one in roles if deploys or label != MODEL],
        *_read_for_gate_and_registry(bucket, key, at),
        _look_at_images(registered),
        *grant_key_for_volumes(key),
        _processing_in_a_vpc(),
    ]


def _read_for_gate_and_registry(bucket: BucketName, key: KeyArn, at: Folders) -> list[Statement]:
    """Read the report for the quality gate, and the model's archive for its registration.

    The service reads both with this role, from outside the VPC. That CreateModelPackage reads the
    archive with the pipeline's role is reported, but not documented: otherwise it fails with
    "Access denied for bucket".
    """
    return [
        allow(
            "ReadReportAndModel",
            [s3.GetObject],
            [objects_arn(bucket, at(PROCESSED)), objects_arn(bucket, at(MODELS))],
        ),
        allow(
            "ListModels",
            [s3.ListBucket],
            [bucket_arn(bucket)],
            Condition(StringLike("s3:prefix", beginning_with(at(MODELS)))),
        ),
        allow("DecryptReportAndModel", [kms.Decrypt], [key]),
    ]


def _look_at_images(repositories: Sequence[Repository]) -> Statement:
    """Let CreateModelPackage read the manifest of the image that serves the model.

    Source: AWS managed policy AmazonSageMakerModelRegistryFullAccess, which grants both on ``*``.
    """
    return allow(
        "LookAtImages",
        [ecr.BatchGetImage, ecr.DescribeImages],
        [repository.arn() for repository in repositories],
    )


def _run_jobs() -> list[Statement]:
    """Jobs of a run are named ``pipelines-<execution id>-...``."""
    return [
        allow(
            "RunJobs",
            [
                sagemaker.CreateProcessingJob,
                sagemaker.DescribeProcessingJob,
                sagemaker.StopProcessingJob,
                sagemaker.CreateTrainingJob,
                sagemaker.DescribeTrainingJob,
                sagemaker.StopTrainingJob,
            ],
            [
                arn("sagemaker", "processing-job/pipelines-*"),
                arn("sagemaker", "training-job/pipelines-*"),
            ],
        )
    ]


def _deploy(name: UniqueName) -> list[Statement]:
    """Create the model and its configuration; create or update the one endpoint.

    CreateEndpoint and UpdateEndpoint are checked on the configuration's ARN as well (Service
    Authorization Reference).
    """
    configs = arn("sagemaker", "endpoint-config/*")
    return [
        allow(
            "MakeModels",
            [sagemaker.CreateModel, sagemaker.DescribeModel],
            [arn("sagemaker", "model/pipelines-*")],
        ),
        allow(
            "MakeEndpointConfigs",
            [sagemaker.CreateEndpointConfig, sagemaker.DescribeEndpointConfig],
            [configs],
        ),
        allow(
            "MakeEndpoint",
            [sagemaker.CreateEndpoint, sagemaker.UpdateEndpoint, sagemaker.DescribeEndpoint],
            [arn("sagemaker", "endpoint/${Name}", Name=name), configs],
        ),
    ]


def _register(name: UniqueName) -> list[Statement]:
    """Register the model.

    The step also calls CreateModelPackageGroup, whether or not the group exists, and accepts
    "exists" but not "denied" (reported from real accounts, not documented).
    """
    return [
        allow(
            "RegisterModels",
            [
                sagemaker.CreateModelPackage,
                sagemaker.CreateModelPackageGroup,
                sagemaker.DescribeModelPackage,
                sagemaker.DescribeModelPackageGroup,
            ],
            [
                arn("sagemaker", "model-package-group/${Name}", Name=name),
                arn("sagemaker", "model-package/${Name}/*", Name=name),
            ],
        )
    ]


def tag_what_is_made(resources: Sequence[Sub], sid: str = "TagWhatIsMade") -> Statement:
    """Tag resources while they are created, never afterwards."""
    return allow(
        sid,
        [sagemaker.AddTags],
        resources,
        Condition(Null("sagemaker:TaggingAction", "false")),
    )


def _processing_in_a_vpc() -> Statement:
    """Describe the network: CreateProcessingJob with a VpcConfig requires it of the caller too.

    Source: SageMaker developer guide, "Amazon SageMaker AI API permissions reference".
    """
    return allow_anywhere("ProcessingInAVpc", [ec2.CreateNetworkInterface])


@dataclass(frozen=True)
class Place:
    """What a person's permissions are about: the deployment's name, domain, data and key.

    With ``several`` pipelines, they are about all of them: the names of others begin with ``name``
    and a hyphen. If the deployment ``predicts``, each has one of batch predictions beside it. With
    ``personal``, each person has a prefix of their own for files.
    """

    name: UniqueName
    domain: Expression
    bucket: BucketName
    key: KeyArn
    several: bool = False
    predicts: bool = False
    asynchronous: bool = False
    personal: bool = False

    def of_all(self, *resources: str) -> list[Sub]:
        """Return the ARNs of ``main``'s resources and, with several pipelines, of all others'.

        ``resources`` contain ``${Name}``.
        """
        patterns = (
            [one.replace("${Name}", "${Name}-*") for one in resources] if self.several else []
        )
        others = [one for one in patterns if not one.endswith("-*/*") or one[:-2] not in patterns]
        return [arn("sagemaker", one, Name=self.name) for one in (*resources, *others)]


def studio(place: Place, notebook_jobs_role: RoleName) -> list[Statement]:
    """Return a data scientist's permissions in Studio (`docs/studio-walkthrough.md`).

    View and open Studio, manage own spaces, read data and results, upload raw data, start and
    follow the pipeline, run own jobs, invoke the endpoint. Only the pipeline deploys models, after
    its quality gate. Source: SageMaker developer guide, "Configure permissions for JupyterLab" and
    "execution roles".
    """
    name, domain, bucket, key = place.name, place.domain, place.bucket, place.key
    kinds = (RAW, PROCESSED, MODELS, *([PREDICTIONS] if place.predicts else []))
    files = files_of_all(personal=place.personal)
    data = [*map(folder, kinds), files]
    uploads = [folder(RAW), files]
    if place.several:
        data += map(named, kinds)
        uploads.append(named(RAW))
    asked = [sagemaker.InvokeEndpoint, sagemaker.DescribeEndpoint]
    if place.asynchronous:
        asked.append(sagemaker.InvokeEndpointAsync)
        for at in (folder(ASYNCHRONOUS), *([f"{named(ASYNCHRONOUS)}*/"] if place.several else [])):
            data += [f"{at}{ANSWERS}", f"{at}{FAILURES}"]
            uploads.append(f"{at}{REQUESTS}")
    return [
        *see_studio(domain),
        _open_studio(domain),
        *_keep_own_spaces(domain),
        _run_pipeline(place),
        read_registry(place),
        describe_jobs(),
        allow(
            "AskEndpoint",
            asked,
            place.of_all("endpoint/${Name}"),
        ),
        *_run_own_jobs(name, notebook_jobs_role),
        *read_prefixes(bucket, data),
        write_prefixes(bucket, uploads),
        use_key_through(["s3"], key),
        allow("LookAtKey", [kms.DescribeKey], [key]),
        use_key_of_logs(key, held=[kms.DescribeKey]),
        *grant_key_for_volumes(key),
        allow(
            "WriteStudioLogs",
            [logs.CreateLogGroup, logs.CreateLogStream, logs.PutLogEvents],
            [
                arn("logs", "log-group:/aws/sagemaker/studio"),
                arn("logs", "log-group:/aws/sagemaker/studio:*"),
            ],
        ),
        read_job_logs(name),
    ]


def read_job_logs(name: UniqueName) -> Statement:
    """Read the logs of jobs, which all deployments share, and of this deployment's endpoint."""
    return allow(
        "ReadJobLogs",
        [logs.DescribeLogStreams, logs.GetLogEvents, logs.FilterLogEvents],
        [
            arn("logs", "log-group:/aws/sagemaker/ProcessingJobs*"),
            arn("logs", "log-group:/aws/sagemaker/TrainingJobs*"),
            arn("logs", "log-group:/aws/sagemaker/Endpoints/${Name}*", Name=name),
        ],
    )


def _run_own_jobs(name: UniqueName, role: RoleName) -> list[Statement]:
    """Run jobs from a notebook, with a role that can write only to ``studio/``.

    Their names begin with the pipeline's name, which separates deployments from each other.
    """
    jobs = [
        arn("sagemaker", "processing-job/${Name}-*", Name=name),
        arn("sagemaker", "training-job/${Name}-*", Name=name),
    ]
    return [
        allow(
            "RunOwnJobs",
            [
                sagemaker.CreateProcessingJob,
                sagemaker.CreateTrainingJob,
                sagemaker.DescribeProcessingJob,
                sagemaker.DescribeTrainingJob,
                sagemaker.StopProcessingJob,
                sagemaker.StopTrainingJob,
            ],
            jobs,
        ),
        tag_what_is_made(jobs, "TagOwnJobs"),
        pass_role("PassNotebookJobsRole", role),
        _processing_in_a_vpc(),
    ]


def see_studio(domain: Expression) -> list[Statement]:
    """List and describe what Studio's page shows."""
    return [
        allow_anywhere(
            "ListInStudio",
            [
                sagemaker.ListApps,
                sagemaker.ListDomains,
                sagemaker.ListModelPackageGroups,
                sagemaker.ListPipelines,
                sagemaker.ListSpaces,
                sagemaker.ListUserProfiles,
                sagemaker.Search,
            ],
        ),
        allow(
            "DescribeStudio",
            [
                sagemaker.DescribeApp,
                sagemaker.DescribeDomain,
                sagemaker.DescribeSpace,
                sagemaker.DescribeUserProfile,
            ],
            [
                arn("sagemaker", f"{kind}/${{Domain}}{rest}", Domain=domain)
                for kind, rest in (
                    ("app", "/*"),
                    ("domain", ""),
                    ("space", "/*"),
                    ("user-profile", "/*"),
                )
            ],
        ),
    ]


def _own_profile(domain: Expression) -> Sub:
    """Return the ARN of the domain's user profile that makes the request."""
    return arn("sagemaker", "user-profile/${Domain}/${!sagemaker:UserProfileName}", Domain=domain)


def _open_studio(domain: Expression) -> Statement:
    """Open an app: the new Studio requests its URL with this role, not with the person's.

    Without it, "Permission issue detected. You may not be able to open any applications". Source:
    AWS managed policy AmazonSageMakerFullAccess (AllowStudioActions); amazon-sagemaker-feedback
    issue 73.
    """
    return allow("OpenStudio", [sagemaker.CreatePresignedDomainUrl], [_own_profile(domain)])


def _keep_own_spaces(domain: Expression) -> list[Statement]:
    """Manage the spaces and apps of the requesting profile, and apps in shared spaces.

    A shared space belongs to its creator, and everyone in the domain can work in it. Source:
    SageMaker developer guide, "Give your users access to private spaces" and "Give your users
    access to shared spaces"; AmazonSageMakerFullAccess, AllowAppActionsForSharedSpaces.
    """
    own_profile = _own_profile(domain)
    spaces = arn("sagemaker", "space/${Domain}/*", Domain=domain)
    apps = arn("sagemaker", "app/${Domain}/*", Domain=domain)
    return [
        allow(
            "KeepOwnSpacesAndApps",
            [
                sagemaker.CreateApp,
                sagemaker.CreateSpace,
                sagemaker.DeleteApp,
                sagemaker.DeleteSpace,
                sagemaker.UpdateSpace,
            ],
            [spaces, apps],
            Condition(
                [
                    StringLike("sagemaker:OwnerUserProfileArn", own_profile),
                    StringEquals("sagemaker:SpaceSharingType", ["Private", "Shared"]),
                ]
            ),
        ),
        allow(
            "WorkInSharedSpaces",
            [sagemaker.CreateApp, sagemaker.DeleteApp],
            [apps],
            Condition(StringEquals("sagemaker:SpaceSharingType", "Shared")),
        ),
        tag_what_is_made([spaces, apps]),
    ]


FOLLOW_RUNS = (
    sagemaker.DescribePipeline,
    sagemaker.DescribePipelineDefinitionForExecution,
    sagemaker.DescribePipelineExecution,
    sagemaker.ListPipelineExecutions,
    sagemaker.ListPipelineExecutionSteps,
    sagemaker.ListPipelineParametersForExecution,
)


def runs(place: Place) -> list[Sub]:
    """Return the ARNs of pipelines and of their runs."""
    found = place.of_all("pipeline/${Name}", "pipeline/${Name}/*")
    if place.predicts and not place.several:  # otherwise, those of all others begin so, too
        own = (f"pipeline/${{Name}}{SUFFIX}", f"pipeline/${{Name}}{SUFFIX}/*")
        found += [arn("sagemaker", one, Name=place.name) for one in own]
    return found


def _run_pipeline(place: Place) -> Statement:
    start_and_stop = [sagemaker.StartPipelineExecution, sagemaker.StopPipelineExecution]
    return allow("RunPipeline", [*FOLLOW_RUNS, *start_and_stop], runs(place))


def read_registry(place: Place) -> Statement:
    """Read the registered models."""
    return allow(
        "ReadRegistry",
        [
            sagemaker.DescribeModelPackage,
            sagemaker.DescribeModelPackageGroup,
            sagemaker.ListModelPackages,
        ],
        place.of_all("model-package-group/${Name}", "model-package/${Name}/*"),
    )


def describe_jobs() -> Statement:
    """Describe the jobs of runs, whose names do not say whose runs they are."""
    return allow(
        "DescribeJobs",
        [sagemaker.DescribeProcessingJob, sagemaker.DescribeTrainingJob],
        [
            arn("sagemaker", "processing-job/pipelines-*"),
            arn("sagemaker", "training-job/pipelines-*"),
        ],
    )


def install_packages(
    domain: Expression, repository: Expression, owner: Expression
) -> list[Statement]:
    """Read every package of one CodeArtifact repository, with tokens that end soon.

    Source: CodeArtifact user guide, "AWS CodeArtifact permissions reference" and "Create a VPC
    endpoint policy for CodeArtifact". Packages are decrypted for CodeArtifact's own grant, not with
    the caller's permissions.
    """
    return [
        allow(
            "GetPackageToken",
            [codeartifact.GetAuthorizationToken],
            [package_domain_arn(domain, owner)],
        ),
        allow_anywhere(
            "IssuePackageToken",
            [sts.GetServiceBearerToken],
            Condition(
                [
                    StringEquals("sts:AWSServiceName", CODEARTIFACT),
                    NumericLessThanEquals("sts:DurationSeconds", TOKEN_SECONDS),
                ]
            ),
        ),
        allow(
            "ReadPackages",
            [codeartifact.GetRepositoryEndpoint, codeartifact.ReadFromRepository],
            [package_repository_arn(domain, repository, owner)],
        ),
    ]
