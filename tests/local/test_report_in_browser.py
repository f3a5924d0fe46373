"""The report as a browser shows it: light and dark, narrow and wide."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tabular_ml_vpc.reports.run_report.page import render
from tests.browser import chromium
from tests.local.test_report import finished

if TYPE_CHECKING:
    from playwright.sync_api import Browser

MEASURE = Path(__file__).with_name("measure.js").read_text()

READABLE = 4.5
"""The least contrast of text ("Web Content Accessibility Guidelines 2.2", 1.4.3)."""

NARROW, WIDE = 360, 1280
PAGES = {
    "two classes": ["no", "yes"],
    "ten classes": [f"class {number}" for number in range(10)],
    "regression": [],
    "long names": ["an_exceedingly_long_class_name_without_any_space" * 2, "yes"],
}

Seen = dict[tuple[str, int, str], dict[str, Any]]
WAYS = list(product([*PAGES, "refused"], (NARROW, WIDE), ("light", "dark")))


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """What the browser measures of each page, in every way to look at it."""
    scratch = tmp_path_factory.mktemp("browser")
    pages = {}
    for name in [*PAGES, "refused"]:
        folder = tmp_path_factory.mktemp("run")
        auc = 0.61 if name == "refused" else 0.875
        pages[name] = folder / "report.html"
        run = finished(folder, PAGES.get(name, ["no", "yes"]), auc)
        pages[name].write_text(render(run), encoding="utf-8")
    with chromium(scratch) as browser:
        return {way: look(browser, pages[way[0]], *way[1:]) for way in WAYS}


def look(browser: Browser, page: Path, width: int, scheme: Any) -> dict[str, Any]:
    """What measure.js finds, and what the page asked for and complained about."""
    tab = browser.new_page(
        viewport={"width": width, "height": 900}, color_scheme=scheme, is_mobile=width == NARROW
    )
    requests: list[str] = []
    errors: list[str] = []
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("console", lambda message: errors.append(message.text))
    tab.goto(page.as_uri())
    seen = tab.evaluate(MEASURE)
    tab.close()
    return {**seen, "requests": requests, "errors": errors}


@pytest.fixture(params=WAYS, ids=lambda way: " ".join(map(str, way)))
def view(request: pytest.FixtureRequest, seen: Seen) -> dict[str, Any]:
    """One page, one width, one scheme."""
    return seen[request.param]


def test_the_page_is_no_wider_than_the_window(view: dict[str, Any]) -> None:
    assert view["overflow"] <= 0
    assert view["outside"] == []


def test_tables_fit_the_window_and_names_are_not_cut(view: dict[str, Any]) -> None:
    assert view["sideways"] == []
    assert view["cut"] == []


def test_every_text_can_be_read(view: dict[str, Any]) -> None:
    assert view["invisible"] == 0, "the browser found no font"
    contrast, text = view["contrast"]
    assert contrast >= READABLE, text


def test_nothing_spills_out_of_a_chart(view: dict[str, Any]) -> None:
    assert view["spilled"] == []
    assert min(view["pictures"]) > 250


def test_nothing_is_fetched_and_nothing_goes_wrong(view: dict[str, Any]) -> None:
    assert view["errors"] == []
    (only,) = view["requests"]
    assert only.startswith("file:")


def test_dark_is_dark_and_light_is_light(seen: Seen) -> None:
    for (_, _, scheme), view in seen.items():
        assert (view["lightness"] < 0.1) if scheme == "dark" else (view["lightness"] > 0.8)


def test_charts_stand_side_by_side_where_there_is_room(seen: Seen) -> None:
    for (_, width, _), view in seen.items():
        assert view["columns"] == (1 if width == NARROW else 2)
