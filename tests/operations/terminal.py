"""`build.py` on a terminal of its own, with somebody who types."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field

from generator.files import REPOSITORY

_SECONDS = 120.0
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\r")


@dataclass
class Terminal:
    """One run of a command; what it shows is kept."""

    process: subprocess.Popen[bytes]
    master: int
    raw: bytearray = field(default_factory=bytearray)
    changed: threading.Condition = field(default_factory=threading.Condition)
    ended: bool = False
    read_to: int = 0

    @classmethod
    def start(cls, *arguments: str, columns: int = 150) -> Terminal:
        """Run `build.py` with arguments, on a terminal of a width."""
        master, slave = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "build.py", *arguments],
            cwd=REPOSITORY,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=os.environ | {"TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": "60"},
        )
        os.close(slave)
        terminal = cls(process, master)
        threading.Thread(target=terminal._collect, daemon=True).start()
        return terminal

    def _collect(self) -> None:
        while True:
            try:
                found = os.read(self.master, 65536)
            except OSError:  # the other side is closed
                found = b""
            with self.changed:
                self.raw += found
                self.ended = self.ended or not found
                self.changed.notify_all()
            if not found:
                return

    def text(self) -> str:
        """Return what was shown, without colours and movements."""
        return _CONTROL.sub("", self.raw.decode(errors="replace"))

    def expect(self, part: str) -> None:
        """Wait until a text is shown after what was expected before."""

        def there() -> bool:
            return part in self.text()[self.read_to :] or self.ended

        with self.changed:
            self.changed.wait_for(there, _SECONDS)
        shown = self.text()
        assert part in shown[self.read_to :], f"{part!r} was not shown in:\n{shown}"
        self.read_to = shown.index(part, self.read_to) + len(part)

    def type(self, line: str) -> None:
        """Type a line."""
        os.write(self.master, f"{line}\n".encode())

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """Wait for the end; return the exit status."""
        with self.changed:
            self.changed.wait_for(lambda: self.ended, _SECONDS)
        status = self.process.wait(_SECONDS)
        os.close(self.master)
        return status
