"""The estimate counts what the templates have, and nothing that they do not have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from generator import images
from generator.cfn.evaluator import ResolvedDeployment, ResolvedResource
from generator.errors import UsageError
from generator.files import REPOSITORY
from generator.settings import Settings
from generator.settings_network import InterfaceEndpoint
from tabular_ml_vpc.reports.cost import meters, pipelines, runs
from tabular_ml_vpc.reports.cost.estimate import (
    CostChoices,
    CostPart,
    Estimate,
    deployment,
    estimate,
)
from tabular_ml_vpc.reports.cost.meters import HOURS, Meter
from tabular_ml_vpc.reports.cost.prices import Prices, read_table, regions
from tabular_ml_vpc.reports.cost.usage import ASSUMPTIONS, Levels, usage

TABLE = read_table()
NONE: Mapping[str, str] = MappingProxyType({})


def choices(parameters: Mapping[str, str] = NONE, **network: Any) -> CostChoices:
    return CostChoices(Settings.model_validate({"network": network}), parameters, usage())


def estimated(chosen: CostChoices, region: str = "us-east-1") -> Estimate:
    return estimate(chosen, Prices(TABLE, region))


def meter(found: Estimate, what: str) -> Meter:
    return next(line.meter for line in found.lines if line.meter.what == what)


def with_resource(
    made: ResolvedDeployment, kind: str, properties: dict[str, Any]
) -> ResolvedDeployment:
    extra = ResolvedResource("pipeline", "Another", kind, "another", properties)
    stacks = {**made.stacks, "pipeline": {**made.stacks["pipeline"], "Another": extra}}
    return replace(made, stacks=stacks)


def quantities(made: ResolvedDeployment) -> dict[str, Levels]:
    return {one.what: one.quantity for one in meters.metered(made, usage())}


@pytest.mark.parametrize(
    ("endpoints", "zones", "inside", "interfaces"),
    [
        ("standard", 2, "yes", 8 * 2),
        ("standard", 2, "no", 7 * 2),
        ("minimal", 1, "no", 2),
        ("minimal", 1, "yes", 3),
        ("full", 2, "no", len(InterfaceEndpoint) * 2),
    ],
)
def test_interface_endpoints_are_counted_by_zone_and_hour(
    endpoints: str, zones: int, inside: str, interfaces: int
) -> None:
    chosen = choices(
        {"FunctionsInTheVpc": inside}, interface_endpoints=endpoints, endpoint_zones=zones
    )

    found = meter(estimated(chosen), "Interface endpoints")

    assert found.quantity == Levels(*[interfaces * HOURS] * 3)


def test_the_cdk_examples_seven_endpoints_cost_what_its_readme_says() -> None:
    found = estimated(choices({"FunctionsInTheVpc": "no"}))

    line = next(line for line in found.lines if line.meter.what == "Interface endpoints")

    assert line.usd is not None
    assert line.usd.typical == pytest.approx(102.20)


@pytest.mark.parametrize(
    ("kind", "properties", "what"),
    [
        ("AWS::CloudWatch::Alarm", {}, "CloudWatch alarms"),
        ("AWS::CloudWatch::Dashboard", {}, "CloudWatch dashboards"),
        ("AWS::KMS::Key", {}, "KMS keys"),
        ("AWS::SQS::Queue", {}, "Dead-letter queue"),
        ("AWS::Logs::LogGroup", {}, "Functions' and endpoint's logs"),
        ("AWS::Lambda::Function", {"MemorySize": 512}, "Functions' time"),
        ("AWS::S3::Bucket", {}, "S3 storage, Another"),
    ],
)
def test_one_more_resource_is_counted(kind: str, properties: dict[str, Any], what: str) -> None:
    made = deployment(choices(), "us-east-1")
    before, after = quantities(made), quantities(with_resource(made, kind, properties))

    assert after[what].typical > before.get(what, Levels(0, 0, 0)).typical


def test_every_type_of_resource_is_priced_or_known_to_be_free() -> None:
    everything = choices({"HomeFileSystem": "yes", "AlertEmail": "a@example.org"})

    assert meters.unpriced(deployment(everything, "eu-west-1")) == []


def test_what_organisations_ask_for_is_counted() -> None:
    settings = Settings.model_validate(
        {
            "security": {"key": "arn:aws:kms:us-east-1:111122223333:key/1234"},
            "storage": {
                "replica_bucket": "arn:aws:s3:::replica",
                "replica_key": "arn:aws:kms:us-east-2:111122223333:key/1234",
            },
            "functions": {"tracing": False},
        }
    )
    found = {line.meter.what: line for line in estimated(CostChoices(settings, {}, usage())).lines}

    assert found["Replica of DataBucket"].usd is None
    assert "KMS keys" not in found
    assert "X-Ray traces" not in found


def test_packages_cost_two_endpoints_what_is_kept_and_what_is_requested() -> None:
    settings = Settings.model_validate({"packages": {"source": "pypi", "internal_names": ["acme"]}})
    made = deployment(CostChoices(settings, {}, usage()), "us-east-1")
    found = {line.meter.what: line for line in estimated(CostChoices(settings, {}, usage())).lines}
    before = estimated(choices()).lines
    hours = {line.meter.what: line.meter.quantity.typical for line in before}

    assert meters.unpriced(made) == []
    assert found["Interface endpoints"].meter.quantity.typical == (
        hours["Interface endpoints"] + 2 * 2 * HOURS
    )
    assert found["Packages kept"].usd == Levels(0.025, 0.25, 2.5)
    assert found["Requests of pip"].usd == pytest.approx(Levels(0.005, 0.1, 1.0))
    assert "Packages kept" not in hours


def test_an_alarm_costs_as_much_as_its_metrics_and_a_dashboard_what_the_list_says() -> None:
    watching = {"dashboard": True, "idle_hours": 24, "latency_milliseconds": 500}
    pipelines = [{"name": "main"}, {"name": "churn"}]
    settings = Settings.model_validate({"pipelines": pipelines, "watching": watching})
    found = {line.meter.what: line for line in estimated(CostChoices(settings, {}, usage())).lines}

    alarms = found["CloudWatch alarms"]
    assert alarms.meter.basis == "7 alarms on 9 metrics"
    assert alarms.usd == pytest.approx(Levels(0.9, 0.9, 0.9))
    assert found["CloudWatch dashboards"].usd == Levels(6, 6, 6)
    assert "CloudWatch dashboards" not in {line.meter.what for line in estimated(choices()).lines}


def test_approvals_cost_one_more_alarm_of_each_pipeline() -> None:
    pipelines = [{"name": "main"}, {"name": "churn"}]
    deploy = {"pipelines": pipelines, "pipeline": {"deploy": "on-approval"}}
    settings = Settings.model_validate(deploy)
    found = {line.meter.what: line for line in estimated(CostChoices(settings, {}, usage())).lines}
    assert found["CloudWatch alarms"].meter.basis == "5 alarms"


def test_a_dashboard_in_govcloud_has_no_known_price() -> None:
    assert Prices(read_table(), "us-gov-west-1").price("cloudwatch_dashboard_month").usd is None


def test_the_page_says_what_watching_costs() -> None:
    prices = Prices(read_table(), "us-east-1")
    alarm = prices.price("cloudwatch_alarm_standard_month").usd
    dashboard = prices.price("cloudwatch_dashboard_month").usd
    assert alarm
    assert dashboard
    page = " ".join((REPOSITORY / "docs/watching.md").read_text(encoding="utf-8").split())

    assert f"| `latency_milliseconds` | one metric | {alarm:.2f} USD |" in page
    assert f"| `idle_hours` | two metrics | {2 * alarm:.2f} USD |" in page
    assert f"| `dashboard` | one dashboard, ten metrics | {dashboard:.2f} USD" in page


def test_the_page_says_what_the_endpoints_of_packages_cost() -> None:
    price = Prices(read_table(), "us-east-1").price("vpc_interface_endpoint_az_hour").usd
    assert price
    page = " ".join((REPOSITORY / "docs/packages.md").read_text(encoding="utf-8").split())

    assert f"{2 * 2 * HOURS * price:.2f} USD a month in us-east-1 in two zones" in page


def test_packages_of_others_cost_the_endpoints_alone() -> None:
    existing = {"source": "existing", "domain": "acme", "repository": "shared"}
    settings = Settings.model_validate({"packages": existing})
    found = {line.meter.what for line in estimated(CostChoices(settings, {}, usage())).lines}

    assert found == {line.meter.what for line in estimated(choices()).lines}


def test_a_region_without_codeartifact_is_a_users_mistake() -> None:
    settings = Settings.model_validate({"packages": {"source": "pypi"}})

    with pytest.raises(
        UsageError, match="--region: got 'sa-east-1': must be one of ap-northeast-1"
    ):
        deployment(CostChoices(settings, {}, usage()), "sa-east-1")


def test_a_type_that_nobody_priced_is_named() -> None:
    made = with_resource(deployment(choices(), "us-east-1"), "AWS::RDS::DBInstance", {})

    assert meters.unpriced(made) == ["AWS::RDS::DBInstance"]


def test_the_flow_log_is_priced_as_a_vended_log() -> None:
    made = deployment(choices(), "us-east-1")
    network = {k: v for k, v in made.stacks["network"].items() if k != "FlowLog"}
    without = replace(made, stacks={**made.stacks, "network": network})

    assert quantities(made)["Flow logs"].typical > 0
    assert quantities(without)["Flow logs"] == Levels(0, 0, 0)
    assert (
        quantities(without)["Functions' and endpoint's logs"].typical
        > quantities(made)["Functions' and endpoint's logs"].typical
    )


def test_people_and_a_home_file_system_are_counted() -> None:
    two = Settings.model_validate({"studio": {"user_profiles": ["ann", "bob"]}})
    chosen = CostChoices(two, {"HomeFileSystem": "yes"}, usage())

    found = estimated(chosen)

    assert meter(found, "Studio spaces on ml.t3.medium").quantity.typical == 160
    assert meter(found, "Home file system").quantity.typical == 10
    assert not [one for one in estimated(choices()).lines if one.meter.what == "Home file system"]


def test_a_reviewer_costs_nothing_and_an_engineer_what_every_person_with_a_space_does() -> None:
    people = [{"name": name, "persona": name} for name in ("reviewer", "ml-engineer")]
    team = Settings.model_validate({"studio": {"people": people}})

    found, usual = estimated(CostChoices(team, {}, usage())), estimated(choices())

    spaces = "Studio spaces on ml.t3.medium"
    assert meter(found, spaces) == meter(usual, spaces)


def test_alerts_by_email_are_counted_only_with_an_address() -> None:
    address = {"AlertEmail": "a@example.org"}

    assert meter(estimated(choices(address)), "Alerts by email").meter == "sns_email_100k"
    assert "Alerts by email" not in {one.meter.what for one in estimated(choices()).lines}


def test_a_run_is_its_definitions_jobs_on_the_deployments_instances() -> None:
    chosen = choices({"TrainingInstanceType": "ml.m5.4xlarge"})

    found = {line.meter.what: line for line in estimated(chosen).of(CostPart.RUN)}

    assert found["Train on ml.m5.4xlarge"].meter.quantity.typical == pytest.approx(14 / 60)
    assert found["Preprocess on ml.m5.large"].meter.quantity.typical == pytest.approx(5 / 60)
    assert "Evaluate: volume" in found


def test_the_endpoint_is_priced_by_the_deployments_instance_type() -> None:
    found = estimated(choices({"EndpointInstanceType": "ml.t2.medium"})).total(CostPart.ENDPOINT)

    assert found.typical == pytest.approx(730 * 0.056)


def test_two_endpoint_instances_cost_twice() -> None:
    two = replace(choices(), settings=Settings.model_validate({"serving": {"instances": 2}}))
    (pipeline,) = runs.pipelines(deployment(two, "us-east-1"))
    (config,) = [
        step
        for step in runs.steps(pipeline.definition["Steps"])
        if step["Type"] == "EndpointConfig"
    ]
    assert config["Arguments"]["ProductionVariants"][0]["InitialInstanceCount"] == 2

    (found,) = runs.endpoint_month(pipeline, usage())

    assert found.quantity == Levels(1460, 1460, 1460)


EVENING, MORNING = "cron(0 18 ? * MON-FRI *)", "cron(0 7 ? * MON-FRI *)"


@pytest.mark.parametrize("deploy", ["pipeline", "on-approval"])
def test_hours_in_which_the_schedule_pauses_the_endpoint_cost_nothing(deploy: str) -> None:
    chosen = {
        "pipelines": [{"name": "main"}, {"name": "churn"}],
        "pipeline": {"deploy": deploy},
        "serving": {"pause": EVENING, "resume": MORNING},
    }
    paused = replace(choices(), settings=Settings.model_validate(chosen))
    for pipeline in runs.pipelines(deployment(paused, "us-east-1")):
        serves = runs.endpoint_month(pipeline, usage())[0]
        assert serves.quantity.typical == pytest.approx(730 * 5 * 11 / (7 * 24))
        given = runs.endpoint_month(pipeline, usage().assuming({"endpoint-hours": 100}))[0]
        assert given.quantity.typical == 100


@pytest.mark.parametrize(
    ("pauses", "resumes", "hours"),
    [
        (EVENING, MORNING, 5 * 11),
        ("cron(0 18 ? * FRI *)", "cron(0 6 ? * MON *)", 4 * 24 + 12),
        ("cron(30 20 * * ? *)", "cron(30 8 * * ? *)", 7 * 12),
        ("cron(0 20 ? * * *)", "cron(0 8 ? * 2,4 *)", 2 * 12),
        ("cron(0 18-22 ? * MON-FRI *)", MORNING, 5 * 11),
        ("cron(0 2 ? * SAT-MON *)", "cron(0 4 ? * SAT-MON *)", 7 * 24 - 6),
        ("cron(0 0/6 ? * * *)", "cron(0 3/6 ? * * *)", 7 * 12),
        ("cron(0 18 1 * ? *)", "cron(0 7 2 * ? *)", 7 * 24),
        ("cron(0 18 ? * 6L *)", MORNING, 7 * 24),
        ("cron(0 18 ? 1-6 FRI *)", MORNING, 7 * 24),
        (EVENING, "cron(0 7 ? * MON-FRI 2030)", 7 * 24),
    ],
)
def test_hours_a_week_come_from_the_expressions_if_all_weeks_are_alike(
    pauses: str, resumes: str, hours: float
) -> None:
    assert runs.share_of_the_week(pauses, resumes) * 7 * 24 == pytest.approx(hours)


def test_on_approval_a_trial_and_a_second_fleet_are_priced_and_ticks() -> None:
    chosen = {"pipeline": {"deploy": "on-approval"}, "serving": {"instances": 2}}
    safe = replace(choices(), settings=Settings.model_validate(chosen))
    made = deployment(safe, "us-east-1")
    (pipeline,) = runs.pipelines(made)
    assumed = usage().assuming({"approvals": 3, "deployment-hours": 0.5, "tick-seconds": 2})

    serves, second = runs.endpoint_month(pipeline, assumed)

    assert serves.quantity.typical == 1460
    assert second.quantity.typical == 3 * 0.5 * 2 * 2
    (ticks,) = [one for one in meters.metered(made, assumed) if one.what == "Ticks of functions"]
    assert ticks.quantity.typical == 8760 * 2 * 0.25


def test_an_endpoint_that_scales_costs_between_its_fewest_and_most_instances() -> None:
    serving = {"instances": 2, "maximum_instances": 6, "target_invocations": 60}
    chosen = {"pipeline": {"deploy": "on-approval"}, "serving": serving}
    scaled = replace(choices(), settings=Settings.model_validate(chosen))
    (pipeline,) = runs.pipelines(deployment(scaled, "us-east-1"))
    assumed = usage().assuming({"approvals": 1, "deployment-hours": 1, "scaled-share": 0.5})

    serves, second, alarms = runs.endpoint_month(pipeline, assumed)

    assert serves.quantity.typical == 730 * 4
    assert second.quantity.typical == 2 + 4
    assert (alarms.meter, alarms.quantity.typical) == ("cloudwatch_alarm_standard_month", 2)


def test_a_month_is_environment_studio_runs_and_endpoint() -> None:
    found = estimated(choices())

    sums = [
        found.total(CostPart.ENVIRONMENT)[level]
        + found.total(CostPart.STUDIO)[level]
        + found.total(CostPart.ENDPOINT)[level]
        + found.total(CostPart.RUN)[level] * found.runs[level]
        for level in range(3)
    ]
    assert list(found.month()) == pytest.approx(sums)


@pytest.mark.parametrize("region", sorted(set(regions(TABLE)) & set(images.ACCOUNTS)))
def test_each_region_of_the_table_has_an_estimate_of_what_counts_most(region: str) -> None:
    found = estimated(choices(), region)

    assert found.total(CostPart.ENVIRONMENT).typical > 100
    assert found.total(CostPart.ENDPOINT).typical > 50


def test_a_region_without_our_images_is_a_users_mistake() -> None:
    with pytest.raises(UsageError, match="--region: got 'mars-1'"):
        deployment(choices(), "mars-1")


def test_assumptions_rise_from_low_to_high_and_have_reasons() -> None:
    for one in ASSUMPTIONS:
        assert one.levels.low <= one.levels.typical <= one.levels.high, one.name
        assert one.reason, one.name
        assert one.unit, one.name


def test_an_assumption_of_the_users_replaces_all_three_levels() -> None:
    assert usage().assuming({"runs": 20})["runs"] == Levels(20, 20, 20)


@pytest.mark.parametrize(("name", "value"), [("rums", 1.0), ("runs", -1.0), ("runs", float("nan"))])
def test_an_assumption_that_cannot_be_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"^{name}: "):
        usage().assuming({name: value})


def test_a_cluster_counts_each_of_its_instances() -> None:
    spark = Settings.model_validate({"pipeline": {"preprocess_engine": "spark"}})
    what = "Preprocess on ml.m5.large"
    one = meter(estimated(choices()), what)
    cluster = meter(estimated(CostChoices(spark, NONE, usage())), what)
    assert cluster.quantity == one.quantity.times(2)


SEVERAL = Settings.model_validate(
    {
        "pipelines": [
            {"name": "main"},
            {"name": "churn"},
            {"name": "fraud", "endpoint_instance_type": "ml.m5.xlarge"},
        ]
    }
)


def test_each_of_several_pipelines_is_counted_with_its_own_sizes() -> None:
    found = estimated(replace(choices(), settings=SEVERAL))

    lines = [(line.meter.pipeline, line.meter.what) for line in found.of(CostPart.ENDPOINT)]
    large, xlarge = "Endpoint on ml.m5.large", "Endpoint on ml.m5.xlarge"
    assert lines == [("main", large), ("churn", large), ("fraud", xlarge)]
    one = estimated(choices()).total(CostPart.RUN)
    assert found.total(CostPart.RUN) == pytest.approx(one.times(3))
    assert found.unpriced == ()


def test_each_of_several_pipelines_is_counted_as_it_is_deployed_and_served() -> None:
    hours = {"pause": "cron(0 18 ? * MON-FRI *)", "resume": "cron(0 7 ? * MON-FRI *)"}
    entries = [
        {"name": "main"},
        {"name": "churn", "deploy": "none"},
        {"name": "fraud", "serving": {"instances": 3, **hours}},
        {"name": "sales", "deploy": "on-approval"},
    ]
    mixed = replace(choices(), settings=Settings.model_validate({"pipelines": entries}))
    found = [line.meter for line in estimated(mixed).of(CostPart.ENDPOINT)]

    named = [(one.pipeline, one.what.partition(" on ")[0]) for one in found]
    trials = ("sales", "Trials and second fleets")
    assert named == [("main", "Endpoint"), ("fraud", "Endpoint"), ("sales", "Endpoint"), trials]
    main, fraud, sales, _ = found
    assert fraud.quantity.typical == pytest.approx(main.quantity.typical * 3 * 55 / 168)
    assert sales.quantity == main.quantity


def test_one_more_pipeline_costs_what_it_adds_and_less_than_five_dollars_at_rest() -> None:
    chosen, prices = replace(choices(), settings=SEVERAL), Prices(TABLE, "us-east-1")
    each = pipelines.of_each(deployment(chosen, "us-east-1"), chosen.usage, prices)
    another = pipelines.of_another(chosen, prices)

    assert [cost.name for cost in each] == ["main", "churn", "fraud"]
    fewer = Settings.model_validate({"pipelines": SEVERAL.pipelines[:2]})
    without = estimated(replace(chosen, settings=fewer)).total(CostPart.ENVIRONMENT)
    added = estimated(chosen).total(CostPart.ENVIRONMENT).typical - without.typical
    assert each[2].rest.typical == pytest.approx(added, abs=0.01)
    assert another.rest == each[1].rest
    assert another.endpoint == each[1].endpoint
    assert 0 < another.rest.high < 5
