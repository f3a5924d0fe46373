"""Asking an endpoint for predictions."""

from __future__ import annotations

import pytest

from tabular_ml_vpc.local.jobs import LocalJobError
from tabular_ml_vpc.local.serving import EndpointResponse
from tabular_ml_vpc.local.smoke import probe

TABLE = [["age", "label", "plan"], ["1", "0", "a,b"], ["2", "1", "c"], ["3", "0", "d"]]


class Endpoint:
    """Answers everything alike, `milliseconds` late by its own account."""

    def __init__(self, answer: bytes = b'{"predictions": []}', status: int = 200) -> None:
        self.bodies: list[str] = []
        self.answer, self.status = answer, status
        self.milliseconds = iter(range(1, 1000))

    def invoke(self, body: bytes, content_type: str, accept: str) -> EndpointResponse:
        assert (content_type, accept) == ("text/csv", "application/json")
        self.bodies.append(body.decode())
        return EndpointResponse(self.status, accept, self.answer, next(self.milliseconds) / 1000)


def test_rows_are_sent_without_their_label() -> None:
    endpoint = Endpoint()
    found = probe(endpoint, TABLE, "label", [(1, 1)])
    assert found.sent == 'age,plan\n1,"a,b"\n'
    assert "label" not in "".join(endpoint.bodies)


def test_the_workers_first_requests_are_not_measured() -> None:
    (latency,) = probe(Endpoint(), TABLE, "label", [(1, 3)]).latencies
    assert (latency.requests, latency.p50_ms, latency.slowest_ms) == (3, 9.0, 10.0)


def test_a_table_with_fewer_rows_than_asked_for_is_sent_whole() -> None:
    endpoint = Endpoint()
    (latency,) = probe(endpoint, TABLE, "label", [(100, 2)]).latencies
    assert (latency.rows, endpoint.bodies[-1].count("\n")) == (3, 4)


def test_each_request_takes_other_rows() -> None:
    endpoint = Endpoint()
    probe(endpoint, TABLE, "label", [(1, 3)])
    assert len(set(endpoint.bodies[-3:])) == 3


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        (Endpoint(b"row 1 has no age", 400), "answered 400: row 1 has no age"),
        (Endpoint(b"0,0.5"), "answer is not JSON: 0,0.5"),
    ],
)
def test_an_answer_that_is_no_prediction_is_shown(endpoint: Endpoint, said: str) -> None:
    with pytest.raises(LocalJobError, match=said):
        probe(endpoint, TABLE, "label", [(1, 1)])
