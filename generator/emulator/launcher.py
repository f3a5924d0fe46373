"""Start ministack with everything that it lacks registered from outside.

Run by `process.py` as `python -m generator.emulator.launcher`, with the emulator's own Python.
Settings come from the environment that `process.py` prepares (port, region, account, TLS).
"""

from __future__ import annotations

from ministack import app

from generator.emulator import (
    buckets,
    compute,
    custom_resources,
    messaging,
    nested_stacks,
    network,
    sagemaker_api,
    sagemaker_resources,
    stack_phases,
)


def register_additions() -> None:
    """Register each concern; the order does not matter."""
    for concern in (
        stack_phases,
        nested_stacks,
        custom_resources,
        network,
        buckets,
        compute,
        messaging,
        sagemaker_api,
        sagemaker_resources,
    ):
        concern.register()


def keep_to_own_port() -> None:
    """Ministack also tries port 443, which two emulators on one machine would fight for."""
    app._port_is_bindable = lambda *_address: False


def main() -> None:
    """Serve until terminated."""
    register_additions()
    keep_to_own_port()
    app.main()


if __name__ == "__main__":
    main()
