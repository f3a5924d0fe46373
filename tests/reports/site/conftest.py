"""The page, written once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from generator.settings import Mode, Settings
from tabular_ml_vpc.reports.site.content import Content, content
from tabular_ml_vpc.reports.site.page import page
from tests.reports.site.browser import Page, browser, find


@pytest.fixture(scope="session")
def contents() -> Content:
    return content(Settings(), Mode.DEV)


@pytest.fixture(scope="session")
def html(contents: Content) -> str:
    return page(contents)


@pytest.fixture(scope="session")
def site(html: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("site") / "site.html"
    path.write_text(html, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    scratch = tmp_path_factory.mktemp("browser")
    found = find(scratch)
    if found is None:
        pytest.skip(
            "no Chromium (`make browser`): the page's structure is tested, not its behaviour"
        )
    with browser(found, scratch / "profile") as opened:
        yield opened


@pytest.fixture
def tab(chromium: Page, site: Path) -> Page:
    """The page, freshly loaded in a window of a usual size, on a system that prefers light."""
    chromium.prefer("light")
    chromium.resize(1180, 900)
    chromium.requests.clear()
    chromium.errors.clear()
    chromium.open(site)
    return chromium
