"""The real `aws` command, imported once: each line of the input is a command to run in a fork.

`awscli.py` starts this with the Python of the command's own environment, and writes one JSON object
a line: `arguments`, `environment`, the files for `out` and `err`, and `seconds`, after which the
command is ended. The answer is the command's exit status, negative for a signal.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

from awscli.clidriver import create_clidriver, main

LONGEST_SLEEP = 1.0
"""The command gives up after 120 polls: 2 minutes, in which a busy machine deletes a stack."""


def cap_sleeps() -> None:
    """Shorten the long sleeps between polls."""
    stock = time.sleep

    def capped(seconds: float) -> None:
        stock(min(seconds, LONGEST_SLEEP))

    time.sleep = capped  # type: ignore[assignment]  # it is only called with floats


def become(command: dict[str, Any]) -> None:
    """Give this process the command's environment, arguments, output and time limit."""
    signal.alarm(command["seconds"])
    models = os.environ["AWS_DATA_PATH"]  # the command has set it while it was imported
    os.environ.clear()
    os.environ.update({"AWS_DATA_PATH": models, **command["environment"]})
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(command[name], os.O_WRONLY), descriptor)
    sys.argv = ["aws", *command["arguments"]]


def serve() -> None:
    """Run commands until the input ends; in each fork, become the command."""
    for line in sys.stdin:
        process = os.fork()
        if not process:
            become(json.loads(line))
            sys.exit(main())
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        print(status, flush=True)


if __name__ == "__main__":
    cap_sleeps()
    create_clidriver()  # imports what every command needs
    serve()
