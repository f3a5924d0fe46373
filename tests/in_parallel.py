"""Share the tests out to processes: `pytest -n 2 -p tests.in_parallel --dist loadscope`.

A plugin of its own, because not every environment of `make test` has pytest-xdist. (The markers of
`--dist loadgroup` have no effect in pytest 9.2 with pytest-xdist 3.8: a test's id cannot be changed
any more.)
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

_TOGETHER: Final = {"tests/functions": "recorded calls", "tests/iam": "recorded calls"}
"""Folders that one process runs, in this order: policies are checked against the calls that the
functions' tests record. What the files of other folders share, such as an emulated AWS, each
process makes for itself; it keeps it from one file to the next."""


class _ByFile(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        """Return what one process runs in sequence: a file, or folders that belong together."""
        path = PurePosixPath(nodeid.partition("::")[0])
        return _TOGETHER.get(str(path.parent), str(path))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Make the scheduler; pytest-xdist calls this."""
    return _ByFile(config, log)
