"""The headless Chromium of `.venv-browser`, driven by Playwright; `make browser` installs both.

A test module that imports this one is skipped where they cannot be.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

if platform.machine() != "x86_64":
    pytest.skip("the browser's package is built for x86-64 only", allow_module_level=True)
sync_api = pytest.importorskip("playwright.sync_api", reason="run `make browser`")

ENVIRONMENT = Path(__file__).parents[1] / ".venv-browser"
PACKED = ENVIRONMENT / "node_modules" / "@sparticuz" / "chromium" / "bin"
UNPACK = """
const { brotliDecompressSync } = require("node:zlib");
const { readFileSync, writeFileSync } = require("node:fs");
for (const [from, to] of Object.entries(JSON.parse(process.argv[1])))
    writeFileSync(to, brotliDecompressSync(readFileSync(from)));
"""


@contextmanager
def chromium(scratch: Path) -> Iterator[Browser]:
    """Start the browser; `scratch` holds its files and its home, and nothing else.

    While it runs, `asyncio.run` fails in this thread: keep it no longer than a module's tests.
    """
    folder = _unpack(scratch)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=folder / "chromium",
            args=["--no-zygote", "--disable-gpu", "--font-render-hinting=none"],
            env={
                **{"PATH": os.environ["PATH"], "HOME": str(scratch)},
                # Its own libraries and font, so that it runs and looks the same on every machine.
                **{"LD_LIBRARY_PATH": str(folder / "lib"), "FONTCONFIG_PATH": str(folder)},
            },
        )
        yield browser
        browser.close()


def _unpack(scratch: Path) -> Path:
    """Return a folder with the browser, its libraries, its font and its software renderer."""
    assert PACKED.is_dir(), f"{PACKED} is missing: run `make browser`"
    folder = scratch / "browser"
    folder.mkdir()
    archives = ("al2023.tar", "fonts.tar", "swiftshader.tar")
    names = ("chromium", *archives)
    files = {str(PACKED / f"{name}.br"): str(folder / name) for name in names}
    subprocess.run([ENVIRONMENT / "node", "-e", UNPACK, json.dumps(files)], check=True)
    for name in archives:
        with tarfile.open(folder / name) as archive:
            archive.extractall(folder, filter="data")
    (folder / "chromium").chmod(0o755)
    fonts = f"<fontconfig><dir>{folder / 'fonts'}</dir><cachedir>{folder}</cachedir></fontconfig>"
    (folder / "fonts.conf").write_text(fonts)
    return folder
