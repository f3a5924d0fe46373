"""The page, written once."""

from __future__ import annotations

import pytest

from generator.settings import Mode, Settings
from tabular_ml_vpc.reports.site.content import Content, content
from tabular_ml_vpc.reports.site.page import page


@pytest.fixture(scope="session")
def contents() -> Content:
    return content(Settings(), Mode.DEV)


@pytest.fixture(scope="session")
def html(contents: Content) -> str:
    return page(contents)
