"""``--help`` of the commands that start a run: it explains the parameters of a run."""

from __future__ import annotations

import click

from pipeline.run_parameters import RUN_PARAMETERS


class RunCommand(click.Command):
    """A command whose help ends with the parameters that ``--set`` takes."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the parameters, then the examples."""
        with formatter.section("Parameters of a run (--set NAME=VALUE)"):
            formatter.write_dl(
                [
                    (one.name, f"{one.about}  [default: {one.usual}]".replace("`", ""))
                    for one in RUN_PARAMETERS.values()
                ]
            )
        super().format_epilog(ctx, formatter)


class RunGroup(RunCommand, click.Group):
    """The same for a command with subcommands."""
