"""The names of a deployment that `implicit.toml` and attacks leave open."""

from __future__ import annotations

from tests.iam.account import PROFILE, Account, known_as


def placeholders(account: Account) -> dict[str, str]:
    """Return what `{...}` stands for in `implicit.toml` and in attacks."""
    deployment, place = account.deployment, account.place
    images = deployment.get("pipeline", "Pipeline").properties
    repository = {
        name: _repository(account, images[f"{label}Image"])
        for name, label in (
            ("training", "Training"),
            ("inference", "Inference"),
        )
    }
    groups = {
        f"group_{known_as(group).removesuffix('LogGroup')}": group.reference
        for group in deployment.of_type("AWS::Logs::LogGroup")
    }
    return {
        "account": place.account,
        "bucket": f"arn:{place.partition}:s3:::{deployment.get('storage', 'DataBucket').reference}",
        "data": deployment.get("storage", "DataBucket").reference,
        "domain": deployment.get("studio", "Domain").reference,
        "key": account.key_arn,
        "log_bucket": (
            f"arn:{place.partition}:s3:::{deployment.get('storage', 'LogBucket').reference}"
        ),
        "log_group": deployment.get("network", "FlowLogsLogGroup").reference,
        "name": deployment.parameters["pipeline"]["UniqueName"],
        "partition": place.partition,
        "profile": PROFILE,
        "queue": place.arn(
            "sqs", deployment.get("security", "DeadLetterQueue").reference.rpartition("/")[2]
        ),
        "region": place.region,
        "root_stack": place.stack_name,
        "topic": deployment.get("pipeline", "AlertTopic").reference,
        "vpc": deployment.get("network", "Vpc").reference,
        **{role: account.role_arn(role) for role in account.roles},
        **repository,
        **groups,
    }


def _repository(account: Account, image: str) -> str:
    registry, _, rest = image.partition("/")
    owner = registry.partition(".")[0]
    place = account.place
    repository = rest.partition(":")[0]
    return f"arn:{place.partition}:ecr:{place.region}:{owner}:repository/{repository}"
