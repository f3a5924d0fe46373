"""Sends the output of jobs and endpoints to the emulated CloudWatch Logs while they write it.

Groups and streams are named as SageMaker names them: "Log Groups and Streams that Amazon
SageMaker AI Sends to Amazon CloudWatch Logs", SageMaker developer guide.
"""

from __future__ import annotations

import contextvars
import threading
import time
from pathlib import Path

from ministack.services import cloudwatch_logs

POLL_SECONDS = 0.25
EVENTS = 500
GROUPS = {
    "ProcessingJob": "/aws/sagemaker/ProcessingJobs",
    "TrainingJob": "/aws/sagemaker/TrainingJobs",
}
ENDPOINTS = "/aws/sagemaker/Endpoints"


class Shipment:
    """Follows a file from its start until `end` is called; each line becomes an event."""

    def __init__(self, file: Path, group: str, stream: str) -> None:
        """Start following `file`, which does not have to exist yet."""
        self._file, self._group, self._stream = file, group, stream
        self._offset = 0
        self._made = False
        self._ended = threading.Event()
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._follow,), daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Send the rest, including an incomplete last line."""
        self._ended.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            self._send(whole=True)
        self._send(whole=False)

    def _send(self, whole: bool) -> None:
        if not self._file.exists():
            return
        with self._file.open("rb") as opened:
            opened.seek(self._offset)
            found = opened.read()
        if whole:
            found = found[: found.rfind(b"\n") + 1]
        self._offset += len(found)
        lines = [line.rstrip() for line in found.decode("utf-8", errors="replace").splitlines()]
        self._put([line for line in lines if line])

    def _put(self, lines: list[str]) -> None:
        if lines and not self._made:
            self._made = True
            cloudwatch_logs._create_log_group({"logGroupName": self._group})
            named = {"logGroupName": self._group, "logStreamName": self._stream}
            cloudwatch_logs._create_log_stream(named)
        now = int(time.time() * 1000)
        for first in range(0, len(lines), EVENTS):
            events = [{"timestamp": now, "message": line} for line in lines[first : first + EVENTS]]
            cloudwatch_logs._put_log_events(
                {
                    "logGroupName": self._group,
                    "logStreamName": self._stream,
                    "logEvents": events,
                }
            )
