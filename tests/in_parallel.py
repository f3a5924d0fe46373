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

_SHARED: Final = {
    "tests/functions": "recorded calls",
    "tests/iam": "recorded calls",
    "tests/operations": "an emulated AWS",
    "tests/reports/audit": "checkers",
    "tests/templates": "templates",
}
"""What the files in a folder share, and so one process runs them: an emulated AWS, or what takes
long to find out. Policies are checked against the calls that the functions' tests record."""


class _ByFileOrFolder(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        """Return what one process runs in sequence: a file, or all that share something."""
        path = PurePosixPath(nodeid.partition("::")[0])
        return _SHARED.get(str(path.parent), str(path))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Make the scheduler; pytest-xdist calls this."""
    return _ByFileOrFolder(config, log)
