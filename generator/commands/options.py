"""Options that commands share; each adds one argument to the command's function.

``--config`` gives ``config: Path | None`` (see ``read_settings``), ``--json`` gives
``as_json: bool``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from generator.settings import Settings

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE.toml",
    help="Settings; docs/settings.example.toml says which there are.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def read_settings(config: Path | None) -> Settings:
    """Return the settings in the file ``config``, or the defaults.

    Raises:
        SettingsError: the file, or a setting in it, cannot be used.

    """
    from generator.settings import Settings, read  # noqa: PLC0415 - slow to import

    return Settings() if config is None else read(config)
