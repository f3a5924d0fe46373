"""To come."""


def register() -> None:
    """Nothing yet."""
