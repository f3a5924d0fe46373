"""What the function may do that pauses and resumes endpoints: these, and nothing else."""

from __future__ import annotations

from awacs import sagemaker
from awacs.aws import Condition, ForAllValuesStringEquals, Statement

from functions.shared.pausing import PAUSED_TAG
from generator.policies.functions import Managed
from generator.policies.jobs import grant_key_for_volumes
from generator.policies.people import tag_what_is_made
from generator.policies.statements import allow, allow_anywhere
from generator.wiring import KeyArn


def pause_endpoint(managed: Managed, key: KeyArn, *, runs_deploy: bool) -> list[Statement]:
    """Return the permissions; the function looks for runs in progress if they deploy.

    CreateEndpoint is checked on the configuration's ARN as well (Service Authorization Reference).
    The function can create no configuration and no model: it serves only what served before. Names
    cannot tell a pipeline's configurations from another's of the deployment (a run adds a suffix),
    and no document says that CreateEndpoint sends a configuration's tags: the function checks them.
    """
    endpoint, configs = managed.arn("endpoint"), managed.containing("endpoint-config")
    runs = allow("LookForRuns", [sagemaker.ListPipelineExecutions], [managed.arn("pipeline")])
    only_paused = ForAllValuesStringEquals("aws:TagKeys", [PAUSED_TAG])
    return [
        allow("LookAtEndpoints", [sagemaker.DescribeEndpoint], [endpoint, managed.trial()]),
        allow("LookAtConfigs", [sagemaker.DescribeEndpointConfig], [configs]),
        allow_anywhere("FindPausedConfigs", [sagemaker.ListEndpointConfigs]),
        allow("ReadOwnerTags", [sagemaker.ListTags], [endpoint, configs]),
        *([runs] if runs_deploy else []),
        allow(
            "RememberPause",
            [sagemaker.AddTags, sagemaker.DeleteTags],
            [configs],
            Condition([managed.owner, only_paused]),
        ),
        allow("Pause", [sagemaker.DeleteEndpoint], [endpoint], Condition(managed.owner)),
        allow("Resume", [sagemaker.CreateEndpoint], [endpoint, configs]),
        tag_what_is_made([endpoint]),
        *grant_key_for_volumes(key),
    ]
