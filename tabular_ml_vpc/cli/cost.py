"""``python build.py cost``: what the templates and a run cost, and how to save."""

from __future__ import annotations

import re
from typing import Any

import click
from rich.text import Text

from generator.cfn.parameters import parse_pairs
from generator.errors import UsageError
from generator.settings import SettingsSource, read
from generator.settings_network import EndpointProfile
from tabular_ml_vpc.cli import completers
from tabular_ml_vpc.cli.console import console, print_json
from tabular_ml_vpc.cli.options import WholeNumber, json_option, set_option
from tabular_ml_vpc.cli.pipeline_cost_view import PipelineCosts, show_pipelines
from tabular_ml_vpc.cli.project_options import remembered, settings_options
from tabular_ml_vpc.cli.tables import Column, show_table
from tabular_ml_vpc.figures import usd
from tabular_ml_vpc.reports.cost import live as pricing_api
from tabular_ml_vpc.reports.cost import pipelines
from tabular_ml_vpc.reports.cost.estimate import (
    CostChoices,
    CostPart,
    Estimate,
    LineItem,
    deployment,
    needed,
    of_deployment,
)
from tabular_ml_vpc.reports.cost.prices import Basis, Prices, read_table, regions
from tabular_ml_vpc.reports.cost.savings import Option, cdk_example, savings, with_endpoints
from tabular_ml_vpc.reports.cost.usage import Levels, usage

DEFAULT_REGION = "us-east-1"
_EXAMPLES = """\b
python build.py cost                                    in N. Virginia
python build.py cost --region eu-west-1 --endpoints minimal --endpoint-zones 1 \\
                     --set FunctionsInTheVpc=no         the cheapest option in Ireland
python build.py cost --assume runs=20 --assume endpoint-hours=160
"""


@click.command(epilog=_EXAMPLES)
@settings_options
@click.option("--region", default=DEFAULT_REGION, show_default=True, help="AWS region.")
@click.option(
    "--endpoints",
    type=click.Choice(["minimal", "standard", "full"]),
    help="Profile of interface endpoints, instead of the one in the settings.",
)
@click.option(
    "--endpoint-zones",
    type=WholeNumber(1, 3),
    help="Availability Zones of each endpoint, instead of those in the settings; a third zone adds "
    "a subnet.",
)
@set_option(
    "Set a stack parameter, such as EndpointInstanceType=ml.t2.medium.",
    completers.stack_parameters,
)
@click.option(
    "--studio-instance",
    default="ml.t3.medium",
    show_default=True,
    help="Instance type of Studio spaces.",
)
@click.option(
    "--assume",
    "assumed",
    multiple=True,
    metavar="NAME=NUMBER",
    help="Use one number instead of low, typical and high; --assumptions lists the names.",
)
@click.option("--assumptions", is_flag=True, help="Only show the usage assumptions and reasons.")
@click.option("--live", is_flag=True, help="Get today's prices from the Pricing API.")
@click.option("--profile", help="AWS profile to use with --live.")
@json_option
def command(
    config: SettingsSource,
    region: str,
    endpoints: str | None,
    endpoint_zones: int | None,
    pairs: tuple[str, ...],
    studio_instance: str,
    assumed: tuple[str, ...],
    assumptions: bool,
    live: bool,
    profile: str | None,
    as_json: bool,
) -> None:
    """Estimate what the environment costs, from the templates.

    Covers a month of the environment, of Studio and of the endpoint, and one run of the pipeline;
    low, typical and high stand for light, usual and heavy use. Then shows what other endpoint
    settings would save, and what they give up. Prices ship with their sources and dates.
    """
    numbers = parse_pairs(assumed, "--assume", "runs=7")
    use = usage().assuming({name: _number(name, text) for name, text in numbers.items()})
    if assumptions:
        _show_assumptions(use.assumptions.values(), as_json)
        return
    chosen = EndpointProfile(endpoints) if endpoints else None
    settings = with_endpoints(read(config), chosen, endpoint_zones)
    choices = CostChoices(
        settings, remembered() | parse_pairs(pairs), use, _instance_type(studio_instance)
    )
    prices = _prices(choices, region, profile, live=live)
    made = deployment(choices, region)
    found = of_deployment(made, choices, prices)
    each = PipelineCosts(
        tuple(pipelines.of_each(made, use, prices)), pipelines.of_another(choices, prices)
    )
    (_print_json if as_json else _show)(found, each, savings(choices, prices), prices)


def _instance_type(name: str) -> str:
    if not re.fullmatch(r"ml\.[a-z0-9-]+\.[a-z0-9]+", name):
        raise UsageError(
            f"--studio-instance: {name!r} is not an instance type such as ml.t3.medium"
        )
    return name


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--assume {name}: {text!r} is not a number") from None


def _prices(choices: CostChoices, region: str, profile: str | None, *, live: bool) -> Prices:

    table = read_table()
    if live:
        found = pricing_api.live_prices(
            pricing_api.make_client(profile), region, needed(choices, region)
        )
        return Prices(table, region, found)
    if region not in regions(table):
        raise UsageError(
            f"--region: no prices for {region!r}, only for {', '.join(regions(table))}; "
            "--live gets them from the Pricing API"
        )
    return Prices(table, region)


def _show_assumptions(assumptions: Any, as_json: bool) -> None:

    if as_json:
        print_json(
            [
                {
                    "name": assumption.name,
                    **assumption.levels._asdict(),
                    "unit": assumption.unit,
                    "reason": assumption.reason,
                }
                for assumption in assumptions
            ]
        )
        return

    columns = (
        Column("assumption"),
        *(Column(level, justify="right") for level in Levels._fields),
        Column("unit", importance=2),
        Column("why", importance=1, wraps=True),
    )
    rows = [
        (item.name, *(f"{n:,.10g}" for n in item.levels), item.unit, item.reason)
        for item in assumptions
    ]
    show_table(console(), columns, rows)


_OF_PIPELINES = (CostPart.RUN, CostPart.ENDPOINT)
"""Parts that a table of the pipelines has if there are several."""
_TITLES = {
    "environment": "Environment, per month",
    "studio": "Studio, per month",
    "run": "One run of the pipeline",
    "endpoint": "Endpoint, per month",
}


def _show(found: Estimate, each: PipelineCosts, options: list[Option], prices: Prices) -> None:

    out = console()
    live = f", {len(prices.live)} of them from the Pricing API just now" if prices.live else ""
    out.print(
        f"{found.region}: USD, {prices.table['terms'].lower()}; prices of "
        f"{prices.table['as_of']} and later{live}"
    )
    several = len(each.present) > 1
    for part in CostPart:
        billed = any(line.part is part for line in found.lines)
        if billed and not (several and part in _OF_PIPELINES):
            out.print()
            _show_part(out, found, part)
    out.print()
    show_pipelines(out, each)
    out.print()
    _show_month(out, found)
    out.print()
    _show_options(out, options, prices)
    out.print()
    for note in _notes(found):
        out.print(note)


def _show_part(out: Any, found: Estimate, part: CostPart) -> None:

    columns = (
        Column(_TITLES[part], wraps=True),
        *(Column(level, justify="right") for level in Levels._fields),
        Column("counted", importance=1, wraps=True, style="dim"),
    )
    rows: list[tuple[str | Text, ...]] = []
    for line in found.of(part):
        amounts = [usd(amount) for amount in line.usd] if line.usd else ["unknown"] * 3
        mark = " (estimated price)" if line.price and line.price.basis == "estimated" else ""
        rows.append((line.meter.what, *amounts, f"{line.meter.basis}{mark}"))
    totals = ("Total", *(usd(amount) for amount in found.total(part)))
    bold = [Text(total, style="bold") for total in totals]
    show_table(out, columns, [*rows, (*bold, _unknown(found, part))])


def _unknown(found: Estimate, part: CostPart) -> str:
    count = sum(line.usd is None for line in found.of(part))
    return f"plus {count} without a known price" if count else ""


def _show_month(out: Any, found: Estimate) -> None:
    low, typical, high = found.month()
    runs = "/".join(dict.fromkeys(f"{count:g}" for count in found.runs))
    out.print(
        f"Total with {runs} runs a month{_of_each(found)}: {usd(low)} low, {usd(typical)} typical, "
        f"{usd(high)} high",
        style="bold",
    )


def _of_each(found: Estimate) -> str:
    return " of each pipeline" if found.several else ""


_OPTION_COLUMNS = (
    Column("endpoints", wraps=True),
    Column("in", importance=4),
    Column("functions", importance=3),
    Column("endpoint hours", importance=2, justify="right"),
    Column("environment, typical", justify="right"),
    Column("saves", justify="right"),
    Column("of the CDK example", importance=1, justify="right"),
)


def _show_options(out: Any, options: list[Option], prices: Prices) -> None:

    example = cdk_example(prices)
    present = next(option for option in options if option.is_present)
    rows = [_option_row(option, present, example) for option in options]
    show_table(out, _OPTION_COLUMNS, rows)
    if example:
        out.print(
            f"The CDK example's endpoints (7 in 2 zones) cost {usd(example)} a month.",
            style="dim",
        )
    _show_given_up(out, options[0], present)


def _option_row(option: Option, present: Option, example: float | None) -> tuple[Text, ...]:
    saved = present.month.typical - option.month.typical
    cells = (
        f"{option.profile}: {option.endpoints}",
        f"{option.zones} AZ",
        "in the VPC" if option.functions_in_the_vpc else "outside",
        usd(option.endpoint_hours_usd),
        usd(option.month.typical),
        "(now)" if option.is_present else f"{saved:,.2f}",
        f"{option.month.typical / example:.0%}" if example else "unknown",
    )
    return tuple(Text(cell, style="bold" if option.is_present else "") for cell in cells)


def _show_given_up(out: Any, cheapest: Option, present: Option) -> None:
    """Print what the current option has and the cheapest lacks."""
    lost = [sentence for sentence in cheapest.given_up if sentence not in present.given_up]
    if lost:
        out.print()
        out.print("The cheapest option gives up:")
        for sentence in lost:
            out.print(f"  - {sentence}")


def _notes(found: Estimate) -> list[str]:

    estimated = {
        f"estimated: {line.meter.what}: {line.price.source}": None
        for line in found.with_basis(Basis.ESTIMATED)
        if line.price
    }
    notes = list(estimated)
    if unknown := {line.meter.what: None for line in found.with_basis(Basis.UNKNOWN)}:
        notes.append(f"unknown price, not in the totals: {', '.join(unknown)}")
    if found.unpriced:
        notes.append(f"not priced: {', '.join(found.unpriced)}")
    notes.append("Usage assumptions: python build.py cost --assumptions")
    return notes


def _print_json(
    found: Estimate, each: PipelineCosts, options: list[Option], prices: Prices
) -> None:

    table = prices.table
    print_json(
        {
            "region": found.region,
            "currency": table["currency"],
            "terms": table["terms"],
            "prices_as_of": table["as_of"],
            "live_prices": sorted(prices.live),
            "lines": [_line_json(line) for line in found.lines],
            "totals": {part: found.total(part)._asdict() for part in CostPart},
            "pipelines": [one.as_json() for one in each.present],
            "one_more_pipeline": each.another.as_json(),
            "runs_a_month": found.runs._asdict(),
            "month": found.month()._asdict(),
            "unpriced": list(found.unpriced),
            "cdk_example_endpoint_hours": cdk_example(prices),
            "options": [_option_json(option) for option in options],
            "sources": table["sources"],
        }
    )


def _line_json(line: LineItem) -> dict[str, object]:
    price = line.price
    return {
        "part": line.part,
        "pipeline": line.meter.pipeline or None,
        "what": line.meter.what,
        "counted": line.meter.basis,
        "quantity": line.meter.quantity._asdict(),
        "price": None
        if price is None
        else {
            "meter": price.meter,
            "usd": price.usd,
            "unit": price.unit,
            "basis": price.basis,
            "source": price.source,
            "date": price.date or None,
            "confidence": price.confidence,
        },
        "usd": _levels_json(line.usd),
    }


def _levels_json(levels: Levels | None) -> dict[str, float] | None:
    return None if levels is None else levels._asdict()


def _option_json(option: Option) -> dict[str, object]:
    return {
        "profile": option.profile,
        "endpoints": option.endpoints,
        "zones": option.zones,
        "functions_in_the_vpc": option.functions_in_the_vpc,
        "endpoint_hours": option.endpoint_hours_usd,
        "environment": option.month._asdict(),
        "given_up": list(option.given_up),
        "present": option.is_present,
    }
