"""A deployed stack gives up its Studio, once nobody has files in it, and works without."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from boto3.session import Session

from tabular_ml_vpc.operations import stacks
from tabular_ml_vpc.operations.target import Target
from tests.emulated import Run
from tests.operations.conftest import Account

NAME = "tabular-bare"
WITHOUT = 'studio.domain = "none"\nnetwork.interface_endpoints = ["sagemaker.api"]\n'


def test_studio_is_given_up_when_no_files_would_be_lost_and_the_rest_works_without(
    deployed: Target, account: Account, aws: Session, run: Run, tmp_path: Path
) -> None:
    before, target = account(), replace(deployed, stack=NAME)
    on_it = ("--stack-name", NAME)
    assert run("deploy", *on_it, "--yes").status == 0
    sagemaker, outputs = aws.client("sagemaker"), stacks.need(target).outputs
    thesis = {"DomainId": outputs["DomainId"], "SpaceName": "thesis"}
    sagemaker.create_space(
        **thesis,
        OwnershipSettings={"OwnerUserProfileName": "data-scientist"},
        SpaceSharingSettings={"SharingType": "Private"},
    )
    settings = tmp_path / "bare.toml"
    settings.write_text(WITHOUT)
    deploy = ("deploy", *on_it, "--config", str(settings), "--yes")
    refused = run(*deploy)
    assert (refused.status, refused.err.count("\n")) == (1, 1)
    assert "removes Studio, where people have files in 1 space (thesis)" in refused.err
    assert "DomainId" in stacks.need(target).outputs

    sagemaker.delete_space(**thesis)
    done = run(*deploy)
    assert done.status == 0, done
    bare = stacks.need(target).outputs
    assert bare["DataBucket"] == outputs["DataBucket"]
    assert "DomainId" not in bare
    assert not [name for name in account()["roles"] if NAME in name and "Studio" in name]
    run_of = sagemaker.start_pipeline_execution(PipelineName=bare["PipelineName"])
    ended = sagemaker.describe_pipeline_execution(**{k: v for k, v in run_of.items() if "Arn" in k})
    assert ended["PipelineExecutionStatus"] == "Succeeded"
    assert run("status", *on_it, "--json").json["studio"]["domain"] is None
    opened = run("open", *on_it)
    assert (opened.status, opened.err.count("\n")) == (1, 1)
    assert "has no Studio, because of its setting studio.domain" in opened.err

    gone = run("destroy", *on_it, "--yes", "--json")
    assert (gone.status, gone.json["left"]) == (0, [])
    assert account() == before
