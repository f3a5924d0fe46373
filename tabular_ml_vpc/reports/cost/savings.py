"""Compares other settings: endpoint profiles, zones, functions outside the VPC.

Each option is built and counted as its own deployment, not extrapolated from the current one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from generator.errors import UsageError
from generator.settings import Settings, interface_endpoints
from generator.settings_network import ENDPOINT_PROFILES, EndpointProfile, InterfaceEndpoint
from tabular_ml_vpc.reports.cost import meters
from tabular_ml_vpc.reports.cost.estimate import CostChoices, deployment, environment
from tabular_ml_vpc.reports.cost.meters import HOURS
from tabular_ml_vpc.reports.cost.prices import Prices
from tabular_ml_vpc.reports.cost.usage import Levels

CDK_ENDPOINTS: Final = 7
CDK_ZONES: Final = 2
"""Interface endpoints of the CDK example that this project replaces, according to its README."""

EXISTING: Final = "existing VPC"
"""Stands for a profile where the endpoints are mostly not ours."""
FUNCTIONS_PARAMETER: Final = "FunctionsInTheVpc"

GIVEN_UP: Final = {
    InterfaceEndpoint.SAGEMAKER_STUDIO: "no private address for Studio: a browser opens it over "
    "the internet, signed in to AWS; spaces still run in the VPC",
    InterfaceEndpoint.ECR_API: "a notebook cannot list or pull container images; jobs can, "
    "since SageMaker pulls theirs itself",
    InterfaceEndpoint.ECR_DKR: "as for ecr.api: the two work together",
    InterfaceEndpoint.LOGS: "a notebook cannot read jobs' logs; they are still in CloudWatch",
    InterfaceEndpoint.STS: "a notebook cannot look up its own identity: sagemaker.Session() "
    "and get_execution_role() need an explicit role and bucket",
    InterfaceEndpoint.KMS: "a notebook cannot call KMS itself; S3 and SageMaker use the key for it",
    InterfaceEndpoint.MONITORING: "a notebook cannot read or write metrics",
    InterfaceEndpoint.EVENTS: "a notebook cannot put or list events",
    InterfaceEndpoint.SNS: "a notebook cannot publish alerts; failed runs still send them",
    InterfaceEndpoint.LAMBDA: "a notebook cannot call functions",
    InterfaceEndpoint.SSM: "a notebook cannot read parameters of Systems Manager",
    InterfaceEndpoint.SECRETS_MANAGER: "a notebook cannot read secrets",
    InterfaceEndpoint.ATHENA: "a notebook cannot query with Athena",
    InterfaceEndpoint.GLUE: "a notebook cannot read the Glue Data Catalog",
    InterfaceEndpoint.CODEARTIFACT_API: "a notebook cannot install packages from CodeArtifact",
    InterfaceEndpoint.CODEARTIFACT_REPOSITORIES: "as for codeartifact.api: the two work together",
    InterfaceEndpoint.SERVICE_CATALOG: "no SageMaker projects in Studio",
    InterfaceEndpoint.APPLICATION_AUTOSCALING: "a notebook cannot see how an endpoint scales; it "
    "scales, since functions in the VPC get their endpoint for that",
}
"""What does not work in our Studio without an endpoint; those that it requires are left out."""
ONE_ZONE: Final = (
    "endpoints in one zone: if that zone fails, Studio, notebooks and functions in the VPC reach "
    "only S3 until it recovers"
)
ONE_ZONE_WITHOUT_STUDIO: Final = ONE_ZONE.replace("Studio, notebooks and functions", "functions")
OUTSIDE: Final = (
    "functions outside the VPC: they call AWS over public addresses, with the same narrow "
    "roles; they cannot reach anything in the VPC, and deletions are 20 to 40 minutes "
    "faster"
)


@dataclass(frozen=True)
class Option:
    """One option, its cost per month, and what you give up for it."""

    profile: str
    endpoints: int
    zones: int
    functions_in_the_vpc: bool
    endpoint_hours_usd: float
    month: Levels
    """The whole environment, without Studio, runs and endpoint."""
    given_up: tuple[str, ...]
    is_present: bool


def cdk_example(prices: Prices) -> float | None:
    """Return the monthly cost of the CDK example's endpoints, in USD."""
    price = prices.price("vpc_interface_endpoint_az_hour").usd
    return None if price is None else CDK_ENDPOINTS * CDK_ZONES * HOURS * price


def savings(choices: CostChoices, prices: Prices) -> list[Option]:
    """Return the options, including the current one, cheapest first."""
    present = _option(choices, prices, is_present=True)
    options = {_key(present): present}
    for other in _others(choices):
        option = _option(other, prices, is_present=False)
        options.setdefault(_key(option), option)
    return sorted(options.values(), key=lambda option: (option.month.typical, option.profile))


def given_up(settings: Settings, *, functions_in_the_vpc: bool) -> tuple[str, ...]:
    """Return, in words, what these settings give up.

    An existing VPC can have endpoints that are not in the settings.
    """
    if settings.network.is_existing:
        return () if functions_in_the_vpc else (OUTSIDE,)
    present = interface_endpoints(settings)
    notebooks = GIVEN_UP if settings.studio.owns_domain else ()
    missing = [name for name in notebooks if name not in present]
    sentences = [f"no {name}: {GIVEN_UP[name]}" for name in missing]
    if settings.network.endpoint_zones == 1:
        sentences.append(ONE_ZONE if settings.studio.owns_domain else ONE_ZONE_WITHOUT_STUDIO)
    if not functions_in_the_vpc:
        sentences.append(OUTSIDE)
    return tuple(sentences)


def profile_of(settings: Settings) -> str:
    """Return the profile's name, or the number of endpoints in a custom list."""
    if settings.network.is_existing:
        return EXISTING
    chosen = set(settings.network.interface_endpoints)
    for profile, endpoints in ENDPOINT_PROFILES.items():
        if chosen == set(endpoints):
            return profile
    return f"custom ({len(chosen)})"


def with_endpoints(
    settings: Settings, profile: EndpointProfile | None, zones: int | None
) -> Settings:
    """Return the settings with another profile, or another number of zones for endpoints.

    Raises:
        UsageError: the VPC exists, so that neither decides which endpoints there are.

    """
    if settings.network.is_existing:
        for option, value in (("--endpoints", profile), ("--endpoint-zones", zones)):
            if value is not None:
                raise UsageError(
                    f"{option}: got {str(value)!r}, but the settings deploy into the existing VPC "
                    f"{settings.network.vpc}; change network.create_endpoints or "
                    "network.endpoint_zones"
                )
        return settings
    network = settings.network.model_dump()
    if profile is not None:
        network["interface_endpoints"] = ENDPOINT_PROFILES[profile]
    if zones is not None:
        network |= {"endpoint_zones": zones, "zones": max(zones, settings.network.zones)}
    return Settings.model_validate(settings.model_dump() | {"network": network})


def _others(choices: CostChoices) -> Iterator[CostChoices]:
    existing = choices.settings.network.is_existing
    for profile in (None,) if existing else EndpointProfile:
        for zones in (None,) if existing else (1, 2):
            for inside in ("yes", "no"):
                yield replace(
                    choices,
                    settings=with_endpoints(choices.settings, profile, zones),
                    parameters={**choices.parameters, FUNCTIONS_PARAMETER: inside},
                )


def _option(choices: CostChoices, prices: Prices, *, is_present: bool) -> Option:
    made, settings = deployment(choices, prices.region), choices.settings
    inside = made.parameters["root"][FUNCTIONS_PARAMETER] == "yes"
    endpoints, interfaces = meters.interface_endpoints(made)
    price = prices.price("vpc_interface_endpoint_az_hour").usd or 0
    return Option(
        profile=profile_of(settings),
        endpoints=endpoints,
        zones=settings.network.endpoint_zones,
        functions_in_the_vpc=inside,
        endpoint_hours_usd=interfaces * HOURS * price,
        month=environment(made, choices.usage, prices),
        given_up=given_up(settings, functions_in_the_vpc=inside),
        is_present=is_present,
    )


def _key(option: Option) -> tuple[str, int, bool]:
    return option.profile, option.zones, option.functions_in_the_vpc
