"""The headless browser of `.venv-browser`: `make browser` installs it, from a package of npm's."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ENVIRONMENT = Path(__file__).parents[2] / ".venv-browser"
DRIVER = Path(__file__).with_name("browser.mjs")
PACKED = ENVIRONMENT / "node_modules" / "@sparticuz" / "chromium" / "bin"
UNPACK = """
const { brotliDecompressSync } = require("node:zlib");
const { readFileSync, writeFileSync } = require("node:fs");
for (const [from, to] of Object.entries(JSON.parse(process.argv[1])))
    writeFileSync(to, brotliDecompressSync(readFileSync(from)));
"""


@dataclass(frozen=True)
class Look:
    """One way to look at a page: width in pixels, colour scheme, where a picture of it goes."""

    page: Path
    width: int
    scheme: str
    picture: Path | None = None


def look(looks: list[Look], scratch: Path) -> list[dict[str, Any]]:
    """What the browser measures of each (see browser.mjs), all with one start of it."""
    unpacked = unpack(scratch)
    environment = {
        **{"PATH": os.environ["PATH"], "HOME": str(scratch)},
        # Its own libraries and font, so that it runs and looks the same on every machine.
        **{"LD_LIBRARY_PATH": str(unpacked / "lib"), "FONTCONFIG_PATH": str(unpacked)},
    }
    request = [
        {
            **{"url": item.page.as_uri(), "width": item.width, "scheme": item.scheme},
            "picture": str(item.picture) if item.picture else None,
        }
        for item in looks
    ]
    answer = subprocess.run(
        [ENVIRONMENT / "node", DRIVER, unpacked / "chromium", scratch / "profile"],
        input=json.dumps(request),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert answer.returncode == 0, answer.stderr
    seen: list[dict[str, Any]] = json.loads(answer.stdout)
    return seen


def unpack(scratch: Path) -> Path:
    """A folder with the browser, its libraries, its font and its drawing in software."""
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
