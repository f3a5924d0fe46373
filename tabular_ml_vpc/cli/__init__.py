"""The command line: ``python build.py [COMMAND]``, one module for each command.

**To add a command** ``name``: write ``tabular_ml_vpc/cli/name.py`` (hyphens become underscores)
with a click command called ``command`` in it, and add a line to ``COMMANDS``. Its summary is
there, not in the module, because ``build.py --help`` must not import what the commands need: a
module is imported only when its command runs. The exit status depends on what the command returns
or raises:

====== ==================================================================================
status when
====== ==================================================================================
0      the command returned None or 0
1      it returned 1 (it ran, but found a problem) or raised ``CommandError``
2      incorrect usage: click's errors, ``UsageError`` (``SettingsError``, ...)
130    Ctrl-C
====== ==================================================================================

An error is one line on standard error; with ``--json``, also an object on standard output, with
``error``, ``exit_status`` and what is known besides. ``tabular_ml_vpc.cli.options`` has the options
that commands share, ``tabular_ml_vpc.cli.console`` the functions that print. Without a command, the
templates are built (``tabular_ml_vpc.cli.build``).
"""

from __future__ import annotations

import errno
import io
import json
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import click

from generator.errors import CommandError
from tabular_ml_vpc import __version__
from tabular_ml_vpc.cli.options import config_option, json_option

COMMANDS: Final[dict[str, str]] = {
    "init": "Write a project file, tabular.toml, that holds your usual options.",
    "doctor": "Check the account, region, quotas and permissions before you spend money.",
    "diff": "Show the resources and permissions that a deployment would change.",
    "deploy": "Create or update the stack, and show its progress.",
    "publish": "Upload the templates, and print the console link that creates a stack.",
    "stacks": "List the stacks deployed from these templates.",
    "status": "Show the status of the stacks, the pipeline and the endpoint.",
    "outputs": "Show the stack's outputs: names, addresses, commands.",
    "open": "Open Studio in the browser as one of its user profiles.",
    "logs": "Show the logs of functions, jobs and the endpoint, merged by time.",
    "run": "Start the pipeline, follow it to the endpoint, and explain the gate's decision.",
    "stop": "Stop a pipeline run.",
    "history": "List the pipeline's runs with their metrics.",
    "models": "List the registered versions of the model, and which one serves.",
    "approve": "Approve a version, so that it is deployed.",
    "reject": "Reject a version; the endpoint does not serve it any more.",
    "rollback": "Reject the version that serves: the endpoint goes back to the one before.",
    "invoke": "Get predictions from the endpoint; measure its latency.",
    "predict": "Predict a whole table with a trained model, without the endpoint.",
    "endpoint": "Repair a failed endpoint; pause and resume one, so that it is not billed.",
    "forget": "Find what holds a person's rows: tables, prepared data, predictions, models.",
    "drift": "Show changes that were made outside CloudFormation.",
    "destroy": "Delete the stack and all that its pipeline created; list what is kept.",
    "pipeline": "Draw the pipeline, list each step's inputs and outputs, check its definition.",
    "local": "Run the pipeline on this machine, from data to endpoint, without an AWS account.",
    "cost": "Estimate what the templates and a run cost, and suggest savings.",
    "diagram": "Draw the architecture, each stack and the pipeline from the templates.",
    "audit": "Run independent checkers on the templates; fail on findings not exempted.",
    "sbom": "Write a bill of materials for zips and requirements, and the licenses shipped.",
    "site": "Write one page for reviewers: diagrams, resources, permissions, cost, checks.",
    "ci": "Write a workflow for GitHub or GitLab: check, compare, approve, deploy.",
    "setup": "Install what `local`, `local up` or `audit` need.",
    "completion": "Print a script that completes commands in a shell.",
}
"""Each command's summary, in the order of ``--help``."""

_INTERRUPTED: Final = 130
_JSON: Final = "--json"
COMPLETE_VARIABLE: Final = "_TABULAR_ML_VPC_COMPLETE"
"""Set by the scripts of ``completion`` while they ask for completions."""
_EXAMPLES: Final = """\b
python build.py                      emit, package and lint
python build.py --config mine.toml   with your own settings
python build.py --check              fail if the committed templates are not up to date
"""


class _Commands(click.Group):
    """The commands in ``COMMANDS``, each imported when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"tabular_ml_vpc.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            close = get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean {close[0]}?" if close else "`build.py --help` lists the commands"
            raise click.UsageError(f"unknown command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        if COMMANDS:
            with formatter.section("Commands"):
                formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    epilog=_EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@config_option
@click.option(
    "--lint/--no-lint",
    default=True,
    help="Check the templates with cfn-lint, and the pipeline's definition.",
)
@click.option(
    "--check", is_flag=True, help="Write nothing; fail if a committed file is out of date."
)
@json_option
@click.pass_context
def cli(
    context: click.Context, config: Path | None, lint: bool, check: bool, as_json: bool
) -> int | None:
    """Emit the CloudFormation templates, package the functions, and lint.

    With a COMMAND, run that command instead.
    """
    if context.invoked_subcommand is not None:
        _reject_options_before(context)
        return None
    build = import_module("tabular_ml_vpc.cli.build")
    if check:
        return int(build.check(config, as_json))
    return int(build.build(config, lint, as_json))


def _reject_options_before(context: click.Context) -> None:
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"{parameter.opts[0]} is before the command {context.invoked_subcommand!r}: "
                "options of a command come after its name"
            )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    if sys.stdin is None:  # closed, as by `<&-`
        sys.stdin = io.StringIO()
    report = _say_as_json if _JSON in (sys.argv[1:] if arguments is None else arguments) else _say
    try:
        result: Any = cli.main(
            arguments, prog_name="build.py", complete_var=COMPLETE_VARIABLE, standalone_mode=False
        )
    except click.ClickException as error:
        return report(" ".join(error.format_message().split()), error.exit_code)
    except CommandError as error:
        return report(str(error), error.exit_status, error.details)
    except click.Abort:
        return report("interrupted", _INTERRUPTED)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return _say(f"cannot write: {error.strerror}", CommandError.exit_status)
    return result if isinstance(result, int) else 0


def _say_as_json(problem: str, status: int, details: Mapping[str, object] | None = None) -> int:
    print(json.dumps({"error": problem, "exit_status": status, **(details or {})}))
    return _say(problem, status)


def _say(problem: str, status: int, _details: Mapping[str, object] | None = None) -> int:
    print(f"build.py: {problem}", file=sys.stderr)
    return status
