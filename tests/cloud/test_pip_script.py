"""The script that sets pip up in a space, run by bash; then the real pip and the real `aws`.

CodeArtifact is stood in for by a server that issues tokens and accepts each of them once it was
issued, as an index of packages.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pytest

from generator.policies.people import TOKEN_SECONDS
from generator.stacks.packages import SCRIPT
from tests.emulated import AWSCLI_PYTHON, JOBS

WHEEL: Final = "acme_tool-1.0-py3-none-any.whl"
INDEX: Final = "/pypi/pypi/simple/"
POLL_SECONDS: Final = 0.01
PIPS: Final = {"of the build": Path(sys.executable), "of the jobs": JOBS / "bin/python"}
"""A Python for each of two versions of pip, such as 23.2 and 26.3."""
SUDO: Final = """#!/bin/bash
# Stands in for root: what is not there yet belongs to it.
[ "$1" = -n ] && shift && mkdir -p "$SPACE_ROOT/etc" "$SPACE_ROOT/usr/local/bin" && exec "$@"
"""


@dataclass
class CodeArtifact:
    """What the server was asked, and what it issued."""

    url: str = ""
    tokens: list[str] = field(default_factory=list)
    requests: list[dict[str, list[str]]] = field(default_factory=list)
    denies: bool = False

    def issue(self, query: str) -> str:
        self.requests.append(parse_qs(query))
        self.tokens.append(f"token-number-{len(self.tokens)}-secret")
        return self.tokens[-1]

    def accepts(self, authorization: str) -> bool:
        given = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        return given in {f"aws:{token}" for token in self.tokens}


def wheel() -> bytes:
    """Return the one package of the index."""
    content, about = BytesIO(), "acme_tool-1.0.dist-info"
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("acme_tool.py", "")
        archive.writestr(
            f"{about}/METADATA", "Metadata-Version: 2.1\nName: acme-tool\nVersion: 1.0\n"
        )
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return content.getvalue()


@pytest.fixture
def service() -> Iterator[CodeArtifact]:
    """Run the server during a test."""
    state = CodeArtifact()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if state.denies:
                body = {"message": "User is not authorized to perform: GetAuthorizationToken"}
                return self.send(HTTPStatus.FORBIDDEN, json.dumps(body).encode())
            token = state.issue(urlsplit(self.path).query)
            return self.send(HTTPStatus.OK, json.dumps({"authorizationToken": token}).encode())

        def do_GET(self) -> None:
            if not state.accepts(self.headers.get("Authorization", "")):
                return self.send(HTTPStatus.UNAUTHORIZED, b"")
            if self.path.endswith(WHEEL):
                return self.send(HTTPStatus.OK, wheel())
            link = f'<a href="{INDEX}acme-tool/1.0/{WHEEL}">{WHEEL}</a>'
            return self.send(HTTPStatus.OK, link.encode(), "text/html")

        def send(self, status: HTTPStatus, body: bytes, kind: str = "application/json") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, args=(POLL_SECONDS,), daemon=True).start()
    yield state
    server.shutdown()
    server.server_close()


@dataclass(frozen=True)
class Space:
    """A space's container: a folder that stands for its file system, and its environment."""

    root: Path
    service: CodeArtifact

    @property
    def configuration(self) -> Path:
        return self.root / "etc/pip.conf"

    @property
    def keyring(self) -> Path:
        return self.root / "usr/local/bin/keyring"

    def environment(self) -> dict[str, str]:
        folders = (self.keyring.parent, self.root / "bin", AWSCLI_PYTHON.parent)
        return {
            "PATH": os.pathsep.join([*map(str, folders), "/usr/bin", "/bin"]),
            "HOME": str(self.root / "home"),
            "SPACE_ROOT": str(self.root),
            "PIP_CONFIG_FILE": str(self.configuration),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "AWS_ENDPOINT_URL": self.service.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    def run(self, *command: str, text: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            input=text,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self) -> subprocess.CompletedProcess[str]:
        """Run the script as Studio does when an app starts."""
        values = {
            "domain": "tabular-1",
            "owner": "123456789012",
            "region": "eu-west-1",
            "seconds": TOKEN_SECONDS,
            "index": f"{self.service.url}{INDEX}",
        }
        header = "".join(f"{name}={value}\n" for name, value in values.items())
        return self.run("/bin/bash", "-s", text=header + SCRIPT.read_text(encoding="utf-8"))

    def download(self, python: Path) -> subprocess.CompletedProcess[str]:
        """Download the package with the pip of an environment."""
        target = str(self.root / "home")
        options = ("--no-deps", "--no-cache-dir", "--dest", target)
        return self.run(str(python), "-m", "pip", "download", *options, "acme-tool")

    def files(self) -> dict[str, bytes]:
        found = (path for path in self.root.rglob("*") if path.is_file())
        return {str(path.relative_to(self.root)): path.read_bytes() for path in found}


@pytest.fixture
def space(tmp_path: Path, service: CodeArtifact) -> Space:
    """A container before its app starts; people are no root in it, but may use sudo."""
    for folder in ("home", "bin"):
        (tmp_path / folder).mkdir()
    sudo = tmp_path / "bin/sudo"
    sudo.write_text(SUDO)
    sudo.chmod(0o755)
    return Space(tmp_path, service)


def test_every_way_in_which_pip_asks_is_answered(space: Space) -> None:
    space.start()
    index = f"{space.service.url}{INDEX}"
    plain = space.run(str(space.keyring), "get", index, "aws")
    assert plain.stdout.splitlines() == space.service.tokens
    options = ("--mode=creds", "--output=json")
    credentials = space.run(str(space.keyring), *options, "get", index, "aws")
    assert json.loads(credentials.stdout) == {
        "username": "aws",
        "password": space.service.tokens[-1],
    }


@pytest.mark.parametrize("pip", PIPS)
def test_pip_installs_with_a_new_token_each_time_and_none_is_stored(space: Space, pip: str) -> None:
    started = space.start()
    assert (started.returncode, started.stderr) == (0, "")
    assert space.service.tokens == []  # nothing is called before somebody installs
    for count in (1, 2):
        done = space.download(PIPS[pip])
        assert done.returncode == 0, done.stderr
        assert len(space.service.tokens) == count
    assert (space.root / "home" / WHEEL).exists()
    asked = {"domain": ["tabular-1"], "domain-owner": ["123456789012"], "duration": ["3600"]}
    assert space.service.requests == [asked, asked]
    content = b"".join(space.files().values())
    assert [token for token in space.service.tokens if token.encode() in content] == []


def test_every_start_leaves_the_same_two_files_and_nobody_s_own(space: Space) -> None:
    own = space.root / "home/.config/pip/pip.conf"
    own.parent.mkdir(parents=True)
    own.write_text("[global]\ntimeout = 60\n")
    space.start()
    first = space.files()
    assert space.start().returncode == 0
    assert space.files() == first
    made = {"etc/pip.conf", "usr/local/bin/keyring"}
    assert first.keys() - made == {"bin/sudo", "home/.config/pip/pip.conf"}
    assert own.read_text() == "[global]\ntimeout = 60\n"


@pytest.mark.parametrize(
    "question",
    [
        ("get", "https://pypi.thief.example/simple/", "aws"),
        ("get", "{index}", "somebody"),
        ("get", "{index}../../../other/simple/", "aws"),
        ("set", "{index}", "aws"),
        ("--mode=creds", "--output=json", "get", "https://pypi.thief.example/simple/", "aws"),
        ("--mode=creds", "--output=json", "get", "{index}", "somebody"),
        ("get",),
        (),
    ],
)
def test_no_other_index_is_ever_given_a_token(space: Space, question: tuple[str, ...]) -> None:
    space.start()
    index = f"{space.service.url}{INDEX}"
    done = space.run(str(space.keyring), *(word.format(index=index) for word in question))
    assert (done.returncode, done.stdout) == (1, "")
    assert space.service.tokens == []


@pytest.mark.parametrize("pip", PIPS)
def test_without_a_token_pip_ends_with_an_error_and_asks_nobody(space: Space, pip: str) -> None:
    space.start()
    space.service.denies = True
    done = space.download(PIPS[pip])
    assert done.returncode != 0
    assert "401" in done.stderr
    assert "Password" not in done.stdout


def test_the_command_itself_says_why_there_is_no_token(space: Space) -> None:
    space.start()
    space.service.denies = True
    done = space.run(str(space.keyring), "get", f"{space.service.url}{INDEX}", "aws")
    assert (done.returncode, done.stdout) != (0, "")
    assert "not authorized to perform: GetAuthorizationToken" in done.stderr


def test_a_container_without_root_starts_and_says_that_pip_is_not_set_up(space: Space) -> None:
    (space.root / "bin/sudo").write_text("#!/bin/bash\nexit 1\n")
    done = space.start()
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1].startswith("pip is not set up: no permission")
    assert not space.configuration.exists()
