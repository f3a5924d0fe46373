"""Starts `preprocess_spark.py` on a cluster: the entrypoint of every instance of the Spark image.

What the image lacks:

- It has no pyarrow, which all code that reads tables uses (`Pipfile.runtime.lock` of
  aws/sagemaker-spark-container has pandas and numpy only; its issue 104, "update PyArrow version",
  is open). The wheel comes as the job's input `libraries` and is installed on each instance.
- `smspark-submit` joins the application's arguments with spaces and passes them to a shell
  (`smspark/cli.py`, `smspark/job.py`): a label named `a b` would become two arguments, and one with
  `$(...)` a command. They are therefore encoded as one word of letters and digits.
- If the application fails, it replaces the job's failure reason with its own (`smspark/errors.py`).
  Ours is restored.

Python 3.12 of the image is `/usr/local/bin/python3`; `python3` alone is the system's 3.9.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import jobs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SUBMITTED: Final = "--submitted="
"""Prefix of the argument with which Spark starts this file again, as the application."""


def encoded(argv: Sequence[str]) -> str:
    """`argv` as one word that no shell changes."""
    return SUBMITTED + base64.urlsafe_b64encode(json.dumps(list(argv)).encode()).decode()


def decoded(word: str) -> list[str]:
    """The arguments that `encoded` turned into `word`."""
    found: list[str] = json.loads(base64.urlsafe_b64decode(word.removeprefix(SUBMITTED)))
    return found


def install(wheels: Path, run: Callable[[list[str]], int]) -> None:
    """Install the wheels from their files, without an index.

    Raises:
        JobError: there is none, or one does not fit this Python.
    """
    found = sorted(wheels.glob("*.whl"))
    if not found:
        raise jobs.JobError(
            "code/libraries/ in the bucket has no wheel, but the Spark image lacks pyarrow; "
            "see docs/spark.md"
        )
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    if run([*pip, *map(str, found)]):
        names = jobs.listing([path.name for path in found])
        raise jobs.JobError(f"cannot install {names} from code/libraries/")


def start(argv: Sequence[str], run: Callable[[list[str]], int] = subprocess.call) -> int:
    """Install what the image lacks, run the image's own entrypoint, and return its exit code.

    Args:
        argv: the job's arguments.
        run: runs a command and returns its exit code.
    """
    base = jobs.base_folder()
    code = Path(__file__).resolve()
    reason = base / "output/message"

    def install_wheels(_: Sequence[str]) -> None:
        install(base / "processing/input/libraries", run)

    if failed := jobs.run(install_wheels, argv, reason):
        return failed
    submit = ["smspark-submit", "--py-files", str(code.parent), str(code), encoded(argv)]
    exit_code = run(submit)
    ours = base / "output/reason"
    if exit_code and ours.is_file():
        reason.write_bytes(ours.read_bytes())
    return exit_code


def application(word: str) -> int:
    """Do the job in Spark and return its exit code."""
    import preprocess_spark  # noqa: PLC0415 - what it imports is there only now

    return preprocess_spark.main(decoded(word))


if __name__ == "__main__":
    submitted = len(sys.argv) == 2 and sys.argv[1].startswith(SUBMITTED)  # noqa: PLR2004
    sys.exit(application(sys.argv[1]) if submitted else start(sys.argv[1:]))
