"""``python build.py local up`` and ``down``: the whole environment in an emulated AWS."""

from __future__ import annotations

import contextlib
import shlex
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import click

from generator.errors import CommandError
from generator.settings import SettingsSource
from pipeline.layout import MAIN
from tabular_ml_vpc.cli import completers
from tabular_ml_vpc.cli.console import console, print_json, say
from tabular_ml_vpc.cli.deployment_view import DeploymentView
from tabular_ml_vpc.cli.options import (
    DEFAULT_STACK,
    WholeNumber,
    json_option,
    set_option,
    stack_name_option,
    work_option,
)
from tabular_ml_vpc.cli.project_options import remembered, settings_options
from tabular_ml_vpc.local.emulator import local_aws
from tabular_ml_vpc.local.emulator.local_aws import RunningAws
from tabular_ml_vpc.local.emulator.process import Emulator
from tabular_ml_vpc.operations.deployment import Deployment, DeploymentOptions
from tabular_ml_vpc.operations.source import SourceOptions
from tabular_ml_vpc.operations.target import Target, open_target, told_in_one_line

_RECORD: Final = "aws.json"
_VARIABLES: Final = "aws.env"
_ROWS: Final = "rows.csv"
_TABLE: Final = "raw/data.csv"
_SHOWN_ROWS: Final = 10
_PORT: Final = 14566
_POLL_SECONDS: Final = 0.5

_work_option = work_option("Folder for the record of what is running.")


@click.command(
    "up",
    epilog="""\b
python build.py local up                      until Ctrl-C
python build.py local up --set Rows=2000      with a smaller synthetic table
python build.py local up --detach             in the background ...
python build.py local down                    ... until this
""",
)
@set_option("Set a stack parameter.", completers.stack_parameters)
@stack_name_option()
@click.option(
    "--port",
    type=WholeNumber(0, 65535),
    default=_PORT,
    show_default=True,
    help="Port of 127.0.0.1; 0 takes a free one.",
)
@click.option("--detach", is_flag=True, help="Leave it running; `local down` stops it.")
@_work_option
@settings_options
@json_option
def up(
    config: SettingsSource,
    pairs: tuple[str, ...],
    stack_name: str,
    port: int,
    detach: bool,
    work: Path,
    as_json: bool,
) -> int:
    """Start an emulated AWS on this machine, and deploy everything into it.

    Needs neither an account nor docker: the stacks are really deployed, the pipeline's jobs really
    run, and the endpoint really answers. Ctrl-C stops it and leaves nothing behind.
    """
    _require_none_running(RunningAws.read(work / _RECORD))
    with _terminated_as_interrupted():
        emulator = local_aws.start(port, attached=not detach)
        running = RunningAws.of(emulator, stack_name)
        try:
            outputs = _deploy(
                running, SourceOptions(config, pairs=pairs, remembered=remembered()), work
            )
            with contextlib.suppress(KeyboardInterrupt):  # from here on, the usual way to stop it
                _show(running, work, outputs, detach, as_json)
                if detach:
                    return 0
                _wait(emulator)
        except BaseException as error:
            _stop(emulator, work)
            if isinstance(error, KeyboardInterrupt | click.Abort):
                say("The emulated AWS was stopped; nothing of it is left.")
            raise
    _stop(emulator, work)
    if not as_json:
        print("\nThe emulated AWS was stopped; nothing of it is left.")
    return 0


@click.command(
    "down",
    epilog="""\b
python build.py local down
""",
)
@_work_option
@json_option
def down(work: Path, as_json: bool) -> int:
    """Stop the emulated AWS that `local up` started, with everything in it."""
    running = RunningAws.read(work / _RECORD)
    if running is not None:
        running.stop()
    _remove_files(work)
    if as_json:
        print_json({"stopped": running.url if running else None})
    elif running:
        print(f"stopped the emulated AWS at {running.url}")
    else:
        print("no emulated AWS was running")
    return 0


def _require_none_running(running: RunningAws | None) -> None:
    if running is not None:
        raise CommandError(
            f"an emulated AWS is already running at {running.url}, with the stack {running.stack}; "
            "`python build.py local down` stops it"
        )


def _deploy(running: RunningAws, options: SourceOptions, work: Path) -> Mapping[str, str]:
    """Deploy, and write files for the next commands; return the root stack's outputs."""
    with local_aws.selected(running.environment), told_in_one_line():
        target = open_target(None, None, running.stack)
        deployment = Deployment(target, DeploymentOptions(options))
        view = DeploymentView(console(to_stderr=True), yes=True)
        finished = view.follow(deployment)
        view.require_success(finished, target)
        outputs = finished.stack.outputs
        rows = _first_rows(target, outputs["DataBucket"])
    running.write(work / _RECORD)
    (work / _VARIABLES).write_text(
        "\n".join([*local_aws.exports(running.environment), ""]), encoding="utf-8"
    )
    (work / _ROWS).write_bytes(rows)
    return outputs


def _first_rows(target: Target, bucket: str) -> bytes:
    table = target.client("s3").get_object(Bucket=bucket, Key=_TABLE)["Body"].read()
    return b"".join(table.splitlines(keepends=True)[: _SHOWN_ROWS + 1])


def _show(
    running: RunningAws, work: Path, outputs: Mapping[str, str], detach: bool, as_json: bool
) -> None:

    if as_json:
        print_json(
            {
                "url": running.url,
                "pid": running.pid,
                "environment": running.environment,
                "stack": running.stack,
                "outputs": dict(outputs),
            }
        )
        return
    stack = "" if running.stack == DEFAULT_STACK else f" --stack-name {running.stack}"
    main = f"{stack} --pipeline {MAIN}" if "Pipelines" in outputs else stack
    stop = "python build.py local down" if detach else "Ctrl-C here"
    print(f"\nThe emulated AWS is up at {running.url}. To use it, run in another terminal:\n")
    for line in local_aws.exports(running.environment):
        print(f"  {line}")
    print(f"\n(or: source {shlex.quote(str(work / _VARIABLES))}), and then, for example:\n")
    for command, purpose in (
        (f"run{main}", "data to endpoint, live; real jobs, about a minute"),
        (f"run{main} --set QualityThreshold=0.99", "see the gate reject the model"),
        (f"history{stack}", "the runs with their metrics"),
        (
            f"invoke{main} --file {shlex.quote(str(work / _ROWS))}",
            "predictions for the first rows of the data",
        ),
        (f"status{stack}", "stacks, pipeline, endpoint"),
        (f"destroy{stack}", "delete it all, and list what remains: nothing"),
    ):
        print(f"  python build.py {command:<{40 + len(main) - len(stack)}} {purpose}")
    print("  aws s3 ls                                                the real aws command, too")
    print(f"\nTo stop it: {stop}", flush=True)


def _wait(emulator: Emulator) -> None:
    """Wait for Ctrl-C, or for the end of the emulator."""
    while emulator.process.poll() is None:
        time.sleep(_POLL_SECONDS)
    if emulator.process.returncode not in (0, -signal.SIGTERM):
        end = " / ".join(emulator.log.read_text(errors="replace").splitlines()[-3:])
        raise CommandError(f"the emulated AWS stopped unexpectedly: {end}")


def _stop(emulator: Emulator, work: Path) -> None:
    emulator.stop()
    _remove_files(work)


def _remove_files(work: Path) -> None:
    for name in (_RECORD, _VARIABLES, _ROWS):
        (work / name).unlink(missing_ok=True)


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM stop it as Ctrl-C does: with nothing left behind."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
