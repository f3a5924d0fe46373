"""Starts the serving stack of the AutoGluon inference image: TorchServe and SageMaker's toolkit.

The toolkit expects its own machine: it writes to /etc, and treats any model server that it finds as
its own. Here, it uses only the folder in which it is started, and its process group.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil
from sagemaker_pytorch_serving_container import serving, torchserve

_FIND_SECONDS = 30.0
_POLL_SECONDS = 0.1


def own_model_server() -> psutil.Process:
    """Return TorchServe's process; waits up to 30 s, which a busy machine may need.

    Raises:
        RuntimeError: TorchServe did not start.

    """
    deadline = time.monotonic() + _FIND_SECONDS
    while time.monotonic() < deadline:
        for process in psutil.process_iter():
            if _is_own_model_server(process):
                return process
        time.sleep(_POLL_SECONDS)
    raise RuntimeError("TorchServe did not start; its own messages are above")


def _is_own_model_server(process: psutil.Process) -> bool:
    try:
        ours = os.getpgid(process.pid) == os.getpgrp()
        return ours and torchserve.TS_NAMESPACE in process.cmdline()
    except (psutil.Error, ProcessLookupError):
        return False


def main() -> None:
    """Serve until TorchServe ends."""
    torchserve.TS_CONFIG_FILE = str(Path.cwd() / "sagemaker-ts.properties")
    torchserve._retrieve_ts_server_process = own_model_server
    serving.main()


if __name__ == "__main__":
    main()
