"""Checks of quotas: instances for each step, domains, VPCs, endpoints."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from tabular_ml_vpc.figures import counted
from tabular_ml_vpc.operations.existing_vpc import ExistingVpc, network_of
from tabular_ml_vpc.operations.findings import CheckContext, CheckFinding, Verdict
from tabular_ml_vpc.operations.target import Target, code_of

_USES: Final = {
    "ProcessingInstanceType": "processing job usage",
    "TrainingInstanceType": "training job usage",
    "EndpointInstanceType": "endpoint usage",
}
"""The names of quotas for SageMaker instances, such as ``ml.m5.large for endpoint usage``."""
_ENDPOINT: Final = "EndpointInstanceType"
_DOMAINS: Final = re.compile(r"\b(studio |sagemaker )?domains\b", re.IGNORECASE)
_VPCS: Final = "L-F678F1CE"
_INTERFACES: Final = "L-29B6F2EB"
_GATEWAYS: Final = "L-1B52E74A"

Quota = Mapping[str, Any]


def instances(context: CheckContext) -> Iterator[CheckFinding]:
    """Check the quota of each step's instance type; it is often 0 in a new account.

    Each pipeline has an endpoint; their runs can wait for each other.
    """
    quotas = {quota["QuotaName"]: quota for quota in _quotas(context.target, "sagemaker")}
    pipelines = context.properties("Custom::Pipeline")
    for parameter, use in _USES.items():
        kinds = Counter(str(pipeline[parameter]) for pipeline in pipelines)
        for kind, count in kinds.items():
            needed = count if parameter == _ENDPOINT else 1
            yield _instance(context, quotas, f"{kind} for {use}", needed, parameter)
    yield from _domains(context, quotas)


def _instance(
    context: CheckContext, quotas: Mapping[str, Quota], name: str, needed: int, parameter: str
) -> CheckFinding:
    quota = quotas.get(name)
    if quota is None:
        return CheckFinding("instance quotas", Verdict.UNKNOWN, f"no quota is named {name!r}")
    wanted = f", and {needed} pipelines need one each" if needed > 1 else ""
    what = f"{name}: {quota['Value']:g}{wanted}"
    if quota["Value"] >= needed:
        return CheckFinding("instance quotas", Verdict.OK, what)
    setting = f"python build.py deploy --set {parameter}=TYPE"
    return CheckFinding(
        "instance quotas",
        Verdict.PROBLEM,
        what,
        f"{'a' if needed > 1 else 'the first'} run fails with ResourceLimitExceeded; the stack can "
        "still be created",
        f"{_increase(context.target, 'sagemaker', quota, needed)}  # or another type: "
        f"{setting if parameter in context.values else 'in [[pipelines]] of the settings'}",
    )


def _domains(context: CheckContext, quotas: Mapping[str, Quota]) -> Iterator[CheckFinding]:
    """Check that one more domain is allowed, unless the stack has its domain or creates none."""
    if not context.properties("AWS::SageMaker::Domain"):
        return
    pages = context.target.client("sagemaker").get_paginator("list_domains").paginate()
    found = [domain for page in pages for domain in page["Domains"]]
    names = ", ".join(f"{domain['DomainName']} ({domain['DomainId']})" for domain in found)
    own = context.stack.outputs.get("DomainId") if context.stack else None
    if own in {domain["DomainId"] for domain in found}:
        yield CheckFinding("domains", Verdict.OK, f"the stack has its domain, {own}")
        return
    limits = [quota for name, quota in quotas.items() if _DOMAINS.search(name)]
    if not limits:
        what = f"{counted(len(found), 'domain')}{': ' + names if names else ''}; no quota found"
        yield CheckFinding("domains", Verdict.OK if not found else Verdict.UNKNOWN, what)
        return
    limit = min(limits, key=lambda quota: float(quota["Value"]))
    if len(found) < limit["Value"]:
        what = f"{len(found)} of {limit['Value']:g} used"
        yield CheckFinding("domains", Verdict.OK, what)
        return
    yield CheckFinding(
        "domains",
        Verdict.PROBLEM,
        f"{len(found)} of {limit['Value']:g} used: {names}",
        "the stack's domain would exceed the quota",
        f"{_increase(context.target, 'sagemaker', limit, len(found) + 1)}  # or, if it is not "
        f"needed: aws sagemaker delete-domain --domain-id {found[0]['DomainId']}",
    )


def vpcs(context: CheckContext) -> Iterator[CheckFinding]:
    """Check that one more VPC is allowed, with all its endpoints."""
    if context.stack is not None and "VpcId" in context.stack.outputs:
        what = f"the stack has its VPC, {context.stack.outputs['VpcId']}"
        yield CheckFinding("network quotas", Verdict.OK, what)
        return
    client = context.target.client("ec2")
    interfaces, used_interfaces = len(context.endpoint_services("Interface")), 0
    if network := network_of(context):
        existing = ExistingVpc(context, network).endpoints
        used_interfaces = sum(one["VpcEndpointType"] == "Interface" for one in existing)
    else:
        pages = client.get_paginator("describe_vpcs").paginate()
        used = sum(len(page["Vpcs"]) for page in pages)
        yield _fits(context, _VPCS, "VPCs in the region", used, 1)
    yield _fits(context, _INTERFACES, "interface endpoints in a VPC", used_interfaces, interfaces)
    filters = [{"Name": "vpc-endpoint-type", "Values": ["Gateway"]}]
    found = client.get_paginator("describe_vpc_endpoints").paginate(Filters=filters)
    gateways = sum(
        endpoint["VpcEndpointType"] == "Gateway"
        for page in found
        for endpoint in page["VpcEndpoints"]
    )
    more = len(context.endpoint_services("Gateway"))
    yield _fits(context, _GATEWAYS, "gateway endpoints in the region", gateways, more)


def _fits(context: CheckContext, code: str, what: str, used: int, more: int) -> CheckFinding:
    quota = context.target.client("service-quotas").get_service_quota(
        ServiceCode="vpc", QuotaCode=code
    )["Quota"]
    limit = quota["Value"]
    text = f"{what}: {used} of {limit:g} used, {more} more needed"
    if used + more <= limit:
        return CheckFinding("network quotas", Verdict.OK, text)
    return CheckFinding(
        "network quotas",
        Verdict.PROBLEM,
        text,
        "the network stack would fail with a limit-exceeded error",
        _increase(context.target, "vpc", quota, used + more),
    )


def _quotas(target: Target, service: str) -> Iterator[Quota]:
    """Yield a service's applied quotas, and the defaults of all others."""
    client = target.client("service-quotas")
    seen = set()
    for operation in ("list_service_quotas", "list_aws_default_service_quotas"):
        try:
            for page in client.get_paginator(operation).paginate(ServiceCode=service):
                for quota in page["Quotas"]:
                    if quota["QuotaCode"] not in seen:
                        seen.add(quota["QuotaCode"])
                        yield quota
        except ClientError as error:
            if code_of(error) != "NoSuchResourceException":
                raise


def _increase(target: Target, service: str, quota: Quota, value: float) -> str:
    return (
        f"aws service-quotas request-service-quota-increase --service-code {service} "
        f"--quota-code {quota['QuotaCode']} --desired-value {value:g} --region {target.region}"
    )
