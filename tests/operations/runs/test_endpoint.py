"""What is decided without AWS: how tables are cut into requests, and what measurements say."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError

from generator.errors import CommandError, UsageError
from tabular_ml_vpc.operations.runs import endpoint
from tabular_ml_vpc.operations.runs.results import Decision
from tabular_ml_vpc.operations.runs.rows import Rows

if TYPE_CHECKING:
    from tabular_ml_vpc.operations.target import Target


class Model:
    """A client of an endpoint that reads `names`, and answers at most `most` rows at once."""

    def __init__(self, names: str = "a,b", most: int = 1000, lost: int = 0) -> None:
        self.names, self.most, self.lost = names, most, lost
        self.sent: list[tuple[str, str]] = []

    def client(self, _service: str) -> Model:
        return self

    def invoke_endpoint(self, **request: Any) -> Any:
        body = request["Body"].decode()
        self.sent.append((request["ContentType"], body))
        rows = list(csv.reader(io.StringIO(body, newline="")))
        header = request["ContentType"].rpartition("=")[2]
        if header == "present" or (header == "text/csv" and ",".join(rows[0]) == self.names):
            rows = rows[1:]
        if len(rows) > self.most:
            raise ClientError(
                {
                    "Error": {"Code": "ModelError", "Message": "too large"},
                    "OriginalStatusCode": 413,
                    "OriginalMessage": "the answer is larger than 6 MB",
                },
                "InvokeEndpoint",
            )
        answers = [{"prediction": float(row[0])} for row in rows[self.lost :]]
        return {"Body": io.BytesIO(json.dumps({"predictions": answers}).encode())}


def deployed(model: Model) -> endpoint.Deployed:
    return endpoint.Deployed(cast("Target", model), "tabular")


def values(found: list[endpoint.Prediction]) -> list[float | None]:
    return [one.value for one in found]


def test_a_small_table_is_one_request_and_its_header_the_endpoints_to_find() -> None:
    model = Model()
    assert values(deployed(model).predict("a,b\n1,2\n")) == [1]
    assert model.sent == [("text/csv", "a,b\n1,2\n")]


@pytest.mark.parametrize("header", ["a,b\n", ""])
def test_a_large_table_is_cut_between_rows_and_keeps_its_header(
    monkeypatch: pytest.MonkeyPatch, header: str
) -> None:
    monkeypatch.setattr(endpoint, "_LARGEST", 20)
    rows = [f'{number},"x\ny"\n' for number in range(10, 19)]
    model = Model()

    found = deployed(model).predict(header + "".join(rows))

    assert values(found) == [*range(10, 19)]
    asked, *parts = model.sent
    assert asked[0] == "text/csv"
    assert len(parts) > 1
    told = "present" if header else "absent"
    assert {kind for kind, _ in parts} == {f"text/csv; header={told}"}
    assert all(part.startswith(header) for _, part in parts)
    assert "".join(part.removeprefix(header) for _, part in parts) == "".join(rows)


def test_a_table_of_text_without_a_header_loses_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    class Texts(Model):
        def invoke_endpoint(self, **request: Any) -> Any:
            request["Body"] = request["Body"].replace(b"north", b"1").replace(b"south", b"2")
            return super().invoke_endpoint(**request)

    monkeypatch.setattr(endpoint, "_LARGEST", 30)
    found = deployed(Texts()).predict("north,basic\nsouth,basic\n" * 4)
    assert values(found) == [1, 2] * 4


@pytest.mark.parametrize("header", ["a,b\n", ""])
def test_what_is_too_large_to_answer_is_asked_for_in_halves(header: str) -> None:
    model = Model(most=2)
    rows = "".join(f"{number},x\n" for number in range(7))
    assert values(deployed(model).predict(header + rows)) == [*range(7)]


def test_one_row_that_is_too_large_to_answer_is_told_as_the_model_tells_it() -> None:
    with pytest.raises(UsageError, match="the answer is larger than 6 MB"):
        deployed(Model(most=0)).predict("1,2\n")


def test_an_answer_that_is_missing_is_noticed() -> None:
    with pytest.raises(CommandError, match="gave 1 answer to 3 rows"):
        deployed(Model(lost=2)).predict("1,2\n3,4\n5,6\n", header=False)


def test_who_says_that_there_is_a_header_is_not_doubted() -> None:
    model = Model()
    assert values(deployed(model).predict("x,y\n1,2\n", header=True)) == [1]
    assert model.sent[0][0] == "text/csv; header=present"


def test_a_blank_line_is_a_row_of_a_table_with_one_column_and_nothing_elsewhere() -> None:
    assert Rows.of("1\n\n2\n", None).lines == ("1\n", '""\n', "2\n")
    assert Rows.of("1,2\n\n3,4\n", None).lines == ("1,2\n", "3,4\n")


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
