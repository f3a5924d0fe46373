"""The real `aws` command against the emulated AWS, without its long sleeps between polls."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CAPPED = """
import sys, time
sleep = time.sleep
time.sleep = lambda seconds: sleep(min(seconds, {longest}))
from awscli.clidriver import main
sys.exit(main())
"""
LONGEST_SLEEP = 0.3
COMMAND_SECONDS = 300.0


@dataclass(frozen=True)
class AwsCli:
    """The aws command of one environment (`requirements/awscli.txt`), set up for one endpoint."""

    python: Path
    environment: Mapping[str, str]

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `aws` with arguments; with `check`, a failure raises RuntimeError with the output."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        command = [str(self.python), "-c", CAPPED.format(longest=LONGEST_SLEEP), *arguments]
        done = subprocess.run(  # noqa: S603 (the aws command that the project pins)
            command,
            env=inherited | dict(self.environment) | {"AWS_PAGER": ""},
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if check and done.returncode:
            output = "\n".join((done.stdout, done.stderr)).strip()
            raise RuntimeError(f"aws {' '.join(arguments)}: exit {done.returncode}\n{output}")
        return done
