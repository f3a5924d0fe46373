"""Checks of quotas: instances for each step, domains, VPCs, endpoints."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from tabular_ml_vpc.operations.findings import CheckContext, CheckFinding, Verdict
from tabular_ml_vpc.operations.target import Target, code_of

_USES: Final = {
    "ProcessingInstanceType": "processing job usage",
    "TrainingInstanceType": "training job usage",
    "EndpointInstanceType": "endpoint usage",
}
"""How the quotas of SageMaker instances are named: ``ml.m5.large for endpoint usage``."""
_DOMAINS: Final = re.compile(r"\b(studio |sagemaker )?domains\b", re.IGNORECASE)
_VPCS: Final = "L-F678F1CE"
_INTERFACES: Final = "L-29B6F2EB"
_GATEWAYS: Final = "L-1B52E74A"

Quota = Mapping[str, Any]


def instances(patient: CheckContext) -> Iterator[CheckFinding]:
    """Check that each step's instance type may run; 0 is usual in a new account."""
    quotas = {one["QuotaName"]: one for one in _quotas(patient.target, "sagemaker")}
    for parameter, use in _USES.items():
        kind = patient.values[parameter]
        yield _instance(patient, quotas.get(f"{kind} for {use}"), kind, use, parameter)
    yield from _domains(patient, quotas)


def _instance(
    patient: CheckContext, quota: Quota | None, kind: str, use: str, parameter: str
) -> CheckFinding:
    name = f"{kind} for {use}"
    if quota is None:
        return CheckFinding("instance quotas", Verdict.UNKNOWN, f"there is no quota named {name!r}")
    if quota["Value"] >= 1:
        return CheckFinding("instance quotas", Verdict.OK, f"{name}: {quota['Value']:g}")
    return CheckFinding(
        "instance quotas",
        Verdict.PROBLEM,
        f"{name}: {quota['Value']:g}",
        "the first run stops with ResourceLimitExceeded; the stack itself is made",
        f"{_increase(patient.target, 'sagemaker', quota, 1)}  # or another type: "
        f"python build.py deploy --set {parameter}=TYPE",
    )


def _domains(patient: CheckContext, quotas: Mapping[str, Quota]) -> Iterator[CheckFinding]:
    """Check that there may be one more domain, unless the stack has its own already."""
    pages = patient.target.client("sagemaker").get_paginator("list_domains").paginate()
    found = [one for page in pages for one in page["Domains"]]
    names = ", ".join(f"{one['DomainName']} ({one['DomainId']})" for one in found)
    own = patient.stack.outputs.get("DomainId") if patient.stack else None
    if own in {one["DomainId"] for one in found}:
        yield CheckFinding("domains", Verdict.OK, f"the stack has its domain, {own}")
        return
    limits = [one for name, one in quotas.items() if _DOMAINS.search(name)]
    if not limits:
        what = (
            f"{len(found)} domains exist{': ' + names if names else ''}; no quota says how many may"
        )
        yield CheckFinding("domains", Verdict.OK if not found else Verdict.UNKNOWN, what)
        return
    limit = min(limits, key=lambda one: float(one["Value"]))
    if len(found) < limit["Value"]:
        what = f"{len(found)} of {limit['Value']:g} domains exist"
        yield CheckFinding("domains", Verdict.OK, what)
        return
    yield CheckFinding(
        "domains",
        Verdict.PROBLEM,
        f"{len(found)} of {limit['Value']:g} domains exist: {names}",
        "the stack's domain would be one too many",
        f"{_increase(patient.target, 'sagemaker', limit, len(found) + 1)}  # or, if it is not "
        f"needed: aws sagemaker delete-domain --domain-id {found[0]['DomainId']}",
    )


def vpcs(patient: CheckContext) -> Iterator[CheckFinding]:
    """Check that there may be one more VPC, and all its endpoints."""
    if patient.stack is not None and "VpcId" in patient.stack.outputs:
        what = f"the stack has its VPC, {patient.stack.outputs['VpcId']}"
        yield CheckFinding("network quotas", Verdict.OK, what)
        return
    client = patient.target.client("ec2")
    pages = client.get_paginator("describe_vpcs").paginate()
    used = sum(len(page["Vpcs"]) for page in pages)
    yield _fits(patient, _VPCS, "VPCs of the region", used, 1)
    wanted = len(patient.endpoint_services("Interface"))
    yield _fits(patient, _INTERFACES, "interface endpoints of a VPC", 0, wanted)
    filters = [{"Name": "vpc-endpoint-type", "Values": ["Gateway"]}]
    found = client.get_paginator("describe_vpc_endpoints").paginate(Filters=filters)
    gateways = sum(
        one["VpcEndpointType"] == "Gateway" for page in found for one in page["VpcEndpoints"]
    )
    more = len(patient.endpoint_services("Gateway"))
    yield _fits(patient, _GATEWAYS, "gateway endpoints of the region", gateways, more)


def _fits(patient: CheckContext, code: str, what: str, used: int, more: int) -> CheckFinding:
    quota = patient.target.client("service-quotas").get_service_quota(
        ServiceCode="vpc", QuotaCode=code
    )["Quota"]
    limit = quota["Value"]
    text = f"{used} of {limit:g} {what} are used, {more} more needed"
    if used + more <= limit:
        return CheckFinding("network quotas", Verdict.OK, text)
    return CheckFinding(
        "network quotas",
        Verdict.PROBLEM,
        text,
        "the network stack would stop with a limit-exceeded error",
        _increase(patient.target, "vpc", quota, used + more),
    )


def _quotas(target: Target, service: str) -> Iterator[Quota]:
    """Yield a service's quotas as they apply; where none were ever asked for, the defaults."""
    client = target.client("service-quotas")
    seen = set()
    for operation in ("list_service_quotas", "list_aws_default_service_quotas"):
        try:
            for page in client.get_paginator(operation).paginate(ServiceCode=service):
                for one in page["Quotas"]:
                    if one["QuotaCode"] not in seen:
                        seen.add(one["QuotaCode"])
                        yield one
        except ClientError as error:
            if code_of(error) != "NoSuchResourceException":
                raise


def _increase(target: Target, service: str, quota: Quota, value: float) -> str:
    return (
        f"aws service-quotas request-service-quota-increase --service-code {service} "
        f"--quota-code {quota['QuotaCode']} --desired-value {value:g} --region {target.region}"
    )
