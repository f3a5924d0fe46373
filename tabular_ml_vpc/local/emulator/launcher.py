"""Start ministack, and register what it lacks.

`process.py` runs this as `python -m tabular_ml_vpc.local.emulator.launcher`, with the emulator's
own Python. Settings (port, region, account, TLS) come from environment variables that `process.py`
sets.
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
    codeartifact,
    compute,
    custom_resources,
    embedded_metrics,
    log_keys,
    log_streams,
    math_alarms,
    messaging,
    nested_stacks,
    network,
    sagemaker_api,
    sagemaker_real,
    sagemaker_resources,
    sagemaker_runtime,
    scaling,
    schedules,
    stack_phases,
)
from tabular_ml_vpc.local.emulator.sagemaker_stand_ins import StandIns

JOBS = "--jobs="


def register_additions() -> None:
    """Register all additions; the order does not matter."""
    for concern in (
        stack_phases,
        nested_stacks,
        custom_resources,
        network,
        buckets,
        codeartifact,
        compute,
        embedded_metrics,
        log_keys,
        log_streams,
        math_alarms,
        messaging,
        scaling,
        schedules,
        sagemaker_api,
        sagemaker_resources,
    ):
        concern.register()


def register_jobs() -> None:
    """With `--jobs=FOLDER`, run real jobs and endpoints in that environment."""
    sagemaker_runtime.register(StandIns())
    for argument in sys.argv[1:]:
        if argument.startswith(JOBS):
            sagemaker_real.register(Path(argument.removeprefix(JOBS)))
    sys.argv[1:] = []


def keep_to_own_port() -> None:
    """Keep ministack from using port 443, too: two emulators on one machine would conflict."""
    app._port_is_bindable = lambda *_address: False


def end_with_starter() -> None:
    """End the whole process group when the process that started it ends and closes our input."""

    def wait() -> None:
        sys.stdin.read()
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def main() -> None:
    """Run until terminated."""
    if "--attached" in sys.argv:
        sys.argv.remove("--attached")
        end_with_starter()
    register_additions()
    register_jobs()
    keep_to_own_port()
    app.main()


if __name__ == "__main__":
    main()
