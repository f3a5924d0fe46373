"""Stands in for PyTorch, which SageMaker's serving toolkit imports and our models never use.

The images hold the real one (800 MB); a script that used it would fail here, and loudly.
"""

__version__ = "0.0.0"


class Tensor:
    """No value is one."""


class cuda:  # noqa: N801 - the name of PyTorch's module
    """There is no GPU."""

    @staticmethod
    def is_available() -> bool:
        """Return False."""
        return False

    @staticmethod
    def device_count() -> int:
        """Return 0."""
        return 0
