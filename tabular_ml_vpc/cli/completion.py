"""``python build.py completion``: shell completion of the installed command."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

from tabular_ml_vpc.cli import COMPLETE_VARIABLE
from tabular_ml_vpc.cli.installed import NAME


class _BashComplete(BashComplete):
    """Bash's completion, without a space after ``NAME=``."""

    source_template = BashComplete.source_template.replace(
        "    return 0\n",
        "    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2> /dev/null\n    return 0\n",
    )


_SHELLS = {"bash": _BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command(
    epilog="""\b
source <(tabular-ml-vpc completion bash)     for this shell
tabular-ml-vpc completion bash >> ~/.bashrc  for every shell
"""
)
@click.argument("shell", type=click.Choice(tuple(_SHELLS)), metavar="SHELL")
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print a script that completes commands and options in SHELL (bash, zsh or fish).

    It completes the installed command, `tabular-ml-vpc` (README, "Install it as a command").
    """
    root = context.find_root().command
    click.echo(_SHELLS[shell](root, {}, NAME, COMPLETE_VARIABLE).source())
