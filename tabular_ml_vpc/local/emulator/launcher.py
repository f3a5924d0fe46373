"""Start ministack with everything that it lacks registered from outside.

Run by `process.py` as `python -m tabular_ml_vpc.local.emulator.launcher`, with the emulator's own
Python. Settings come from the environment that `process.py` prepares (port, region, account, TLS).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from ministack import app

from tabular_ml_vpc.local.emulator import (
    buckets,
    compute,
    custom_resources,
    log_keys,
    messaging,
    nested_stacks,
    network,
    sagemaker_api,
    sagemaker_real,
    sagemaker_resources,
    stack_phases,
)

JOBS = "--jobs="


def register_additions() -> None:
    """Register each concern; the order does not matter."""
    for concern in (
        stack_phases,
        nested_stacks,
        custom_resources,
        network,
        buckets,
        compute,
        log_keys,
        messaging,
        sagemaker_api,
        sagemaker_resources,
    ):
        concern.register()


def register_jobs() -> None:
    """Really run jobs and endpoints, where `--jobs=` names the environment to run them with."""
    for argument in sys.argv[1:]:
        if argument.startswith(JOBS):
            sagemaker_real.register(Path(argument.removeprefix(JOBS)))
    sys.argv[1:] = []


def keep_to_own_port() -> None:
    """Ministack also tries port 443, which two emulators on one machine would fight for."""
    app._port_is_bindable = lambda *_address: False


def end_with_starter() -> None:
    """End the whole process group once whoever started it is gone: standard input closes then."""

    def wait() -> None:
        sys.stdin.read()
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def main() -> None:
    """Serve until terminated."""
    if "--attached" in sys.argv:
        sys.argv.remove("--attached")
        end_with_starter()
    register_additions()
    register_jobs()
    keep_to_own_port()
    app.main()


if __name__ == "__main__":
    main()
