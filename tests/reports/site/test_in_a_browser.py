"""The page as its reader uses it, in a headless Chromium; skipped where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tabular_ml_vpc.reports.cost.estimate import CostPart
from tabular_ml_vpc.reports.site.content import Content
from tests.browser import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("browser")) as started:
        yield started


@pytest.fixture(scope="module")
def site(html: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("site") / "site.html"
    path.write_text(html, encoding="utf-8")
    return path


@pytest.fixture
def tab(browser: Browser, site: Path) -> Iterator[Page]:
    """The page in a window of a usual size, on a system that prefers light."""
    page = browser.new_page(viewport={"width": 1180, "height": 900}, color_scheme="light")
    page.goto(site.as_uri())
    yield page
    page.close()


def text(tab: Page, selector: str) -> str:
    return tab.locator(selector).text_content() or ""


def total(tab: Page) -> float:
    return float(text(tab, "#total").removesuffix(" USD a month").replace(",", ""))


def focused(tab: Page) -> str:
    return str(tab.evaluate("document.activeElement.id || document.activeElement.tagName"))


def open_everything(tab: Page) -> None:
    tab.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")


def test_it_loads_nothing_but_itself_and_without_an_error(browser: Browser, site: Path) -> None:
    page = browser.new_page()
    requests, errors = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: errors.append(error.message))
    page.on("console", lambda message: errors.append(message.text))

    page.goto(site.as_uri())

    assert requests == [site.as_uri()]
    assert errors == []
    page.close()


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1", "sa-east-1", "us-gov-west-1"])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_it_comes_to_the_same_as_the_cost_command(
    tab: Page, contents: Content, region: str, level: int
) -> None:
    tab.select_option("#region", region)
    tab.locator("input[name=level]").nth(level).check()
    found = contents.cost.estimates[region]

    shown = {part: float(text(tab, f"[data-part={part}]").replace(",", "")) for part in CostPart}

    assert shown[CostPart.ENVIRONMENT] == pytest.approx(
        found.total(CostPart.ENVIRONMENT)[level], abs=0.006
    )
    assert shown[CostPart.ENDPOINT] == pytest.approx(
        found.total(CostPart.ENDPOINT)[level], abs=0.006
    )
    if level == 1:
        assert total(tab) == pytest.approx(found.month().typical, abs=0.006)


def test_the_arrow_keys_move_a_slider_and_the_costs(tab: Page) -> None:
    before = total(tab)
    tab.focus("#zones")

    tab.keyboard.press("ArrowLeft")

    assert text(tab, "#zones-value") == "1"
    assert total(tab) == pytest.approx(before - 8 * 730 * 0.01)
    assert "8 endpoints x 1 AZ" in text(tab, "#cost-table")


def test_fewer_endpoint_hours_cost_less(tab: Page) -> None:
    tab.focus("#endpoint-hours")

    tab.keyboard.press("Home")

    assert text(tab, "[data-part=endpoint]") == "0.00"


def test_another_region_has_other_prices_and_says_which_are_estimated(tab: Page) -> None:
    tab.select_option("#region", "eu-west-1")

    assert text(tab, "[data-line='0']") == "128.48"
    assert "(estimated)" in text(tab, "#cost-table")


def test_an_endpoint_setting_is_shown_by_its_button(tab: Page) -> None:
    tab.locator(".choose").first.focus()

    tab.keyboard.press("Enter")

    assert (text(tab, "#endpoints-value"), text(tab, "#zones-value")) == ("2", "1")
    assert "16 % of the CDK example" in text(tab, "#compared")


def test_resources_are_filtered_by_words(tab: Page) -> None:
    tab.focus("#resources-filter")

    tab.keyboard.insert_text("lambda storage")

    visible = tab.evaluate(
        "[...document.querySelectorAll('#resources-table tbody tr')]"
        ".filter(row => row.offsetParent).map(row => row.cells[1].textContent)"
    )
    assert visible == ["EmptyBucketFunction", "EmptyBucketDeliveries"]
    assert text(tab, "#resources-count").startswith("2 of ")


def test_rights_are_filtered_by_action(tab: Page) -> None:
    tab.focus("#rights-filter")

    tab.keyboard.insert_text("iam:PassRole")

    visible = tab.evaluate(
        "[...document.querySelectorAll('#rights-list .filtered')]"
        ".filter(one => one.offsetParent).map(one => one.querySelector('b').textContent)"
    )
    assert "Pipeline manager role" in visible
    assert "Processing role" not in visible


def test_a_role_opens_by_keyboard(tab: Page) -> None:
    tab.locator("#rights-list summary").first.focus()

    tab.keyboard.press("Enter")

    assert tab.evaluate("document.querySelector('#rights-list details').open")


def test_the_first_tab_offers_to_skip_to_the_content(tab: Page) -> None:
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.getBoundingClientRect().left >= 0")

    tab.keyboard.press("Enter")

    assert focused(tab) == "main"


def test_everything_that_can_be_used_is_reached_by_tab(tab: Page) -> None:
    reached = set()
    for _ in range(400):
        tab.keyboard.press("Tab")
        name = focused(tab)
        if name == "BODY":
            break
        reached.add(name)

    wanted = {"theme", "region", "endpoints", "zones", "endpoint-hours", "resources-filter"}
    assert wanted <= reached
    assert {"SUMMARY", "BUTTON"} <= reached


def test_what_has_the_focus_is_outlined(tab: Page) -> None:
    tab.keyboard.press("Tab")
    tab.keyboard.press("Tab")

    style = tab.evaluate("getComputedStyle(document.activeElement).outlineStyle")

    assert style == "solid"


@pytest.mark.parametrize(("scheme", "page"), [("light", "#ffffff"), ("dark", "#12181f")])
def test_it_is_as_light_or_dark_as_the_system(tab: Page, scheme: Any, page: str) -> None:
    tab.emulate_media(color_scheme=scheme)

    root = "getComputedStyle(document.documentElement)"
    assert tab.evaluate(f"{root}.getPropertyValue('--page')").strip() == page
    # The page hears of the change a moment later.
    pressed = str(scheme == "dark").lower()
    tab.wait_for_selector(f"#theme[aria-pressed={pressed}]")


def test_the_reader_can_choose_dark_all_the_same(tab: Page) -> None:
    tab.focus("#theme")

    tab.keyboard.press("Space")

    ground = "getComputedStyle(document.body).backgroundColor"
    assert tab.evaluate(ground) == "rgb(18, 24, 31)"
    card = "getComputedStyle(document.querySelector('.d-card')).fill"
    assert tab.evaluate(card) == "rgb(29, 38, 48)"


@pytest.mark.parametrize("width", [320, 390, 768, 1180, 1920])
def test_the_page_is_no_wider_than_its_window(tab: Page, width: int) -> None:
    tab.set_viewport_size({"width": width, "height": 800})
    open_everything(tab)

    assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_the_pictures_texts_stay_in_their_boxes_with_this_browsers_letters(tab: Page) -> None:
    open_everything(tab)

    outside = tab.evaluate(
        "[...document.querySelectorAll('.picture svg')].flatMap(svg => {"
        "  const frame = svg.getBoundingClientRect();"
        "  return [...svg.querySelectorAll('text')].filter(text => {"
        "    const box = text.getBoundingClientRect();"
        "    return box.left < frame.left - 1 || box.right > frame.right + 1;"
        "  }).map(text => text.textContent);"
        "})"
    )
    assert outside == []


def test_on_a_phone_a_table_s_rows_are_cards_that_name_each_value(tab: Page) -> None:
    tab.set_viewport_size({"width": 390, "height": 800})
    open_everything(tab)

    wide = tab.evaluate(
        "[...document.querySelectorAll('.scroll')]"
        ".filter(box => box.scrollWidth > box.clientWidth).map(box => box.textContent.slice(0, 60))"
    )
    cell = tab.locator("#resources-table td").first

    assert wide == []
    assert cell.evaluate("cell => getComputedStyle(cell, '::before').content") == '"Stack"'


def test_on_a_phone_the_filter_still_hides_rows(tab: Page) -> None:
    tab.set_viewport_size({"width": 390, "height": 800})

    tab.fill("#resources-filter", "AlertTopic")

    assert tab.locator("#resources-table tbody tr:visible").count() in range(1, 10)
