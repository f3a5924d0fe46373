"""The endpoint's serving stack under load: the largest bodies, slow clients, a worker that dies."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Final

import pytest

from tabular_ml_vpc.local.jobs import JobHost
from tabular_ml_vpc.local.sandbox import Runtime
from tabular_ml_vpc.local.serving import HOST, Endpoint, deploy
from tabular_ml_vpc.local.store import FolderStore
from tests.local.served import DEADLY, write_archive
from tests.local.test_older_models import container
from tests.sockets import listening

URI: Final = "s3://bucket/models/fake/output/model.tar.gz"
LARGEST: Final = 6 * 1024 * 1024
RECOVERED_SECONDS: Final = 60
Answer = tuple[int, bytes]


@pytest.fixture(scope="module")
def endpoint(runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """An endpoint with the image's serving stack and our code, which predicts the age."""
    folder = tmp_path_factory.mktemp("load")
    store = FolderStore(folder / "s3")
    store.put_file(write_archive(folder / "model.tar.gz"), URI)
    place = JobHost(runtime, store, folder / "jobs")
    running = deploy(place.job("load"), container(URI), isolated=True, attached=True)
    yield running
    running.stop()


def ask(endpoint: Endpoint, body: bytes) -> Answer:
    """Ask over a connection of its own."""
    connection = http.client.HTTPConnection(HOST, endpoint.port, timeout=RECOVERED_SECONDS)
    try:
        connection.request("POST", "/invocations", body, {"Content-Type": "text/csv"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def predicted(answer: Answer) -> list[float]:
    status, body = answer
    assert status == 200, body
    return [row["prediction"] for row in json.loads(body)["predictions"]]


def test_it_listens_on_loopback_only(endpoint: Endpoint) -> None:
    found = listening(endpoint.process.pid)
    assert (ip_address(HOST), endpoint.port) in found
    assert all(address.is_loopback for address, _ in found)


def test_the_largest_body_is_answered_and_one_byte_more_is_refused(endpoint: Endpoint) -> None:
    body = b"41," + b"x" * (LARGEST - 3)
    assert predicted(ask(endpoint, body)) == [41]
    status, said = ask(endpoint, body + b"x")
    assert (status, said) == (
        413,
        b"the request has 6291457 bytes: at most 6291456 are allowed\n",
    )


def test_of_32_clients_each_gets_the_answers_to_its_own_rows(endpoint: Endpoint) -> None:
    def client(number: int) -> list[list[float]]:
        return [predicted(ask(endpoint, b"%d,x\n%d,y" % (number, turn))) for turn in range(8)]

    with ThreadPoolExecutor(32) as pool:
        found = list(pool.map(client, range(32)))
    assert found == [[[number, turn] for turn in range(8)] for number in range(32)]


def test_clients_that_send_slowly_do_not_hold_up_others(endpoint: Endpoint) -> None:
    slow = [socket.create_connection((HOST, endpoint.port)) for _ in range(16)]
    head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n"
    for connection in slow:
        connection.sendall(head + b"Content-Length: 4\r\n\r\n4")
    assert predicted(ask(endpoint, b"7,x")) == [7]
    for connection in slow:
        connection.sendall(b"1,x")
        connection.settimeout(RECOVERED_SECONDS)
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert predicted((response.status, response.read())) == [41]
        connection.close()


def test_a_worker_that_dies_is_replaced(endpoint: Endpoint) -> None:
    status, _ = ask(endpoint, f"{DEADLY},x".encode())
    assert status >= 500
    deadline = time.monotonic() + RECOVERED_SECONDS
    answer = ask(endpoint, b"8,x")
    while answer[0] != 200 and time.monotonic() < deadline:
        time.sleep(0.5)
        answer = ask(endpoint, b"8,x")
    assert predicted(answer) == [8]
