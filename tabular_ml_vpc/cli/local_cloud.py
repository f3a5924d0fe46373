"""``python build.py local up`` and ``down``: the whole environment in an emulated AWS."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
from boto3.session import Session

from generator.errors import CommandError
from tabular_ml_vpc.cli import deploy
from tabular_ml_vpc.cli.console import print_json
from tabular_ml_vpc.cli.options import DEFAULT_STACK, json_option
from tabular_ml_vpc.local.emulator import whole
from tabular_ml_vpc.local.emulator.process import Emulator
from tabular_ml_vpc.local.emulator.whole import Note

WORK: Final = Path(".build") / "local"
_NOTE: Final = "aws.json"
_VARIABLES: Final = "aws.env"
_ROWS: Final = "rows.csv"
_TABLE: Final = "raw/data.csv"
_SHOWN_ROWS: Final = 10
_PORT: Final = 14566
_POLL_SECONDS: Final = 0.5

_work_option = click.option(
    "--work",
    type=click.Path(path_type=Path),
    default=WORK,
    show_default=True,
    metavar="FOLDER",
    help="Note there what runs.",
)


@click.command(
    "up",
    epilog="""\b
python build.py local up                      until Ctrl-C
python build.py local up --set Rows=2000      with a smaller synthetic table
python build.py local up --detach             in the background ...
python build.py local down                    ... until this
""",
)
@click.option("--set", "pairs", multiple=True, metavar="NAME=VALUE", help="Set a stack parameter.")
@click.option(
    "--stack-name", metavar="NAME", default=DEFAULT_STACK, show_default=True, help="The root stack."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=_PORT,
    show_default=True,
    help="Port of 127.0.0.1; 0 takes a free one.",
)
@click.option("--detach", is_flag=True, help="Leave it running; `local down` ends it.")
@_work_option
@json_option
def up(
    pairs: tuple[str, ...], stack_name: str, port: int, detach: bool, work: Path, as_json: bool
) -> int:
    """Start an emulated AWS on this machine, and deploy everything into it.

    No account and no docker: the stacks are really deployed, the pipeline's jobs really run, the
    endpoint really answers. Ctrl-C ends it and leaves nothing behind.
    """
    note = work / _NOTE
    _refuse_a_second(whole.Note.read(note))
    with _terminated_as_interrupted():
        emulator = whole.start(port, attached=not detach)
        try:
            outputs = _deploy(emulator, stack_name, pairs)
            _write_notes(emulator, stack_name, work, str(outputs["DataBucket"]))
            with contextlib.suppress(KeyboardInterrupt):  # from here on, that is how it ends
                _tell(emulator, stack_name, work, outputs, detach, as_json)
                if detach:
                    return 0
                _stay(emulator)
        except BaseException as error:
            _end(emulator, work)
            if isinstance(error, KeyboardInterrupt | click.Abort):
                click.echo("The emulated AWS has ended with all that was in it.", err=True)
            raise
    _end(emulator, work)
    if not as_json:
        print("\nThe emulated AWS has ended; nothing of it is left.")
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
    """End the emulated AWS that `local up` started, with everything in it."""
    note = Note.read(work / _NOTE)
    if note is not None:
        note.stop()
    _forget(work)
    if as_json:
        print_json({"stopped": note.url if note else None})
    else:
        print(f"ended the emulated AWS at {note.url}" if note else "no emulated AWS was running")
    return 0


def _refuse_a_second(note: Note | None) -> None:
    if note is not None:
        raise CommandError(
            f"an emulated AWS runs already, at {note.url}, with the stack {note.stack}; "
            "`python build.py local down` ends it"
        )


def _deploy(emulator: Emulator, stack_name: str, pairs: tuple[str, ...]) -> dict[str, Any]:
    """Deploy by our own command; return the root stack's outputs."""
    options = ["--yes", "--json", "--stack-name", stack_name]
    for pair in pairs:
        options += ["--set", pair]
    said = io.StringIO()
    with whole.pointed_at(emulator.environment()), contextlib.redirect_stdout(said):
        status = deploy.command.main(options, prog_name="build.py deploy", standalone_mode=False)
    if status:
        raise CommandError(f"{stack_name} was not deployed into the emulated AWS")
    found: dict[str, Any] = json.loads(said.getvalue())["outputs"]
    return found


def _write_notes(emulator: Emulator, stack_name: str, work: Path, bucket: str) -> None:

    environment = emulator.environment()
    folder = str(emulator.directory)
    note = whole.Note(emulator.url, emulator.process.pid, folder, stack_name, environment)
    note.write(work / _NOTE)
    lines = [*whole.exports(environment), ""]
    (work / _VARIABLES).write_text("\n".join(lines), encoding="utf-8")
    with whole.pointed_at(environment):
        table = Session().client("s3").get_object(Bucket=bucket, Key=_TABLE)["Body"].read()
    first = table.splitlines(keepends=True)[: _SHOWN_ROWS + 1]
    (work / _ROWS).write_bytes(b"".join(first))


def _tell(
    emulator: Emulator,
    stack_name: str,
    work: Path,
    outputs: dict[str, Any],
    detach: bool,
    as_json: bool,
) -> None:

    environment = emulator.environment()
    if as_json:
        found = {"url": emulator.url, "pid": emulator.process.pid, "environment": environment}
        print_json(found | {"stack": stack_name, "outputs": outputs})
        return
    stack = "" if stack_name == DEFAULT_STACK else f" --stack-name {stack_name}"
    ending = "python build.py local down" if detach else "Ctrl-C here"
    print(f"\nThe emulated AWS is up at {emulator.url}. Point another terminal at it:\n")
    for line in whole.exports(environment):
        print(f"  {line}")
    print(f"\n(or: source {work / _VARIABLES}), then try there:\n")
    rows = work / _ROWS
    for command, what in (
        (f"run{stack}", "data to endpoint, live; real jobs, about a minute"),
        (f"run{stack} --set QualityThreshold=0.99", "see the gate refuse the model"),
        (f"history{stack}", "the runs with their metrics"),
        (f"invoke{stack} --file {rows}", "ask the endpoint about the data's first rows"),
        (f"status{stack}", "stacks, pipeline, endpoint"),
        (f"destroy{stack}", "all of it, and what is left: nothing"),
    ):
        print(f"  python build.py {command:<40} {what}")
    print("  aws s3 ls                                                the real aws command, too")
    print(f"\nIt ends with: {ending}", flush=True)


def _stay(emulator: Emulator) -> None:
    """Wait for Ctrl-C, or for the end of the emulator."""
    while emulator.process.poll() is None:
        time.sleep(_POLL_SECONDS)
    if emulator.process.returncode not in (0, -signal.SIGTERM):
        end = " / ".join(emulator.log.read_text(errors="replace").splitlines()[-3:])
        raise CommandError(f"the emulated AWS ended by itself: {end}")


def _end(emulator: Emulator, work: Path) -> None:
    emulator.stop()
    _forget(work)


def _forget(work: Path) -> None:
    for name in (_NOTE, _VARIABLES, _ROWS):
        (work / name).unlink(missing_ok=True)


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM end this as Ctrl-C does: with nothing left behind."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
