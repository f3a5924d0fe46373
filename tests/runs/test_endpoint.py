"""What is decided without AWS: how tables are cut into requests, and what measurements say."""

from __future__ import annotations

import pytest

from generator.runs import endpoint
from generator.runs.results import Decision


def test_a_small_table_is_one_request_as_it_is() -> None:
    assert [*endpoint.parts("a,b\n1,2\n")] == ["a,b\n1,2\n"]


@pytest.mark.parametrize("header", ["a,b\n", ""])
def test_a_large_table_is_cut_between_rows_and_keeps_its_header(
    monkeypatch: pytest.MonkeyPatch, header: str
) -> None:
    monkeypatch.setattr(endpoint, "_LARGEST", 20)
    rows = [f'{number},"x\ny"\n' for number in range(10, 19)]

    found = [*endpoint.parts(header + "".join(rows))]

    assert len(found) > 1
    assert all(part.startswith(header) for part in found)
    assert "".join(part.removeprefix(header) for part in found) == "".join(rows)


def test_percentiles_of_one_measurement_are_that_measurement() -> None:
    found = endpoint.summary([12.0], rows=3)

    assert (found.p50_ms, found.p95_ms, found.p99_ms, found.slowest_ms) == (12, 12, 12, 12)


def test_percentiles_are_those_of_the_measurements() -> None:
    found = endpoint.summary([float(number) for number in range(1, 102)], rows=1)

    assert (found.p50_ms, found.p95_ms, found.p99_ms, found.slowest_ms) == (51, 96, 100, 101)
    assert found.requests_a_second == pytest.approx(19.6)


@pytest.mark.parametrize(
    ("value", "passed", "told"),
    [(0.70004, True, "f1 0.7 >= 0.7"), (0.6, False, "f1 0.6 < 0.7")],
)
def test_a_decision_says_what_was_compared(value: float, passed: bool, told: str) -> None:
    assert str(Decision("f1", value, 0.7, passed)) == told
