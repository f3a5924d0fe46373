"""``python build.py ci``: an example of continuous delivery, written into the user's project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import click

from generator import project
from generator.errors import CommandError, UsageError
from generator.files import write
from generator.project import FILE, Project
from tabular_ml_vpc.cli.console import console as open_console
from tabular_ml_vpc.cli.console import print_json, say, show_next
from tabular_ml_vpc.cli.options import DEFAULT_STACK, json_option
from tabular_ml_vpc.reports.delivery import workflows
from tabular_ml_vpc.reports.delivery.comment import comment as comment_of
from tabular_ml_vpc.reports.delivery.workflows import CLONE, PATHS, DeliveryStage, Tool, installed

_ALONE: Final = "production"
"""Name of the environment if the project file has no stages."""


@click.group(
    no_args_is_help=False,
    epilog="""\b
python build.py ci github
python build.py ci github --stage test --stage prod --branch main
python build.py ci gitlab --install tools.txt
""",
)
def command() -> None:
    """Write a workflow for GitHub or GitLab that checks, compares, and deploys on approval.

    It has no stored keys: its jobs get credentials of two roles by OpenID Connect. docs/delivery.md
    explains it.
    """


def _platform(name: str, title: str) -> click.Command:
    """Return the command that writes the file of a platform."""

    @click.command(name, help=f"Write {PATHS[name]}, a pipeline on {title}.")
    @click.option(
        "--stage",
        "names",
        multiple=True,
        metavar="NAME",
        help="Stages of tabular.toml to deploy, in this order. Default: all.",
    )
    @click.option("--region", metavar="REGION", help="Region of stages that have none.")
    @click.option("--branch", default="main", show_default=True, help="Branch that is deployed.")
    @click.option(
        "--install",
        metavar="WHAT",
        help="What provides the command, unless this is a clone: a requirement, or a .txt file of "
        "requirements with hashes.",
    )
    @click.option("--force", is_flag=True, help="Overwrite a file that differs.")
    @json_option
    def write_workflow(
        names: tuple[str, ...],
        region: str | None,
        branch: str,
        install: str | None,
        force: bool,
        as_json: bool,
    ) -> None:
        top, stages = _stages(Path.cwd(), names, region)
        text = workflows.render(name, stages, _tool(top, install), branch)
        changed = _write(top, PATHS[name], text, force)
        if as_json:
            print_json(_as_json(name, stages, changed))
        else:
            _show(name, stages, changed)

    return write_workflow


command.add_command(_platform("github", "GitHub Actions"))
command.add_command(_platform("gitlab", "GitLab CI"))


@command.command("comment")
@click.argument("difference", metavar="DIFF.json", type=click.Path(path_type=Path))
@click.argument("cost", metavar="COST.json", type=click.Path(path_type=Path))
def write_comment(difference: Path, cost: Path) -> None:
    """Print a comment for a pull request, from what `diff --json` and `cost --json` printed."""
    click.echo(comment_of(_read(difference), _read(cost)), nl=False)


def _read(path: Path) -> Any:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path}: a JSON object is needed")
    return content


def _stages(
    folder: Path, names: tuple[str, ...], region: str | None
) -> tuple[Path, list[DeliveryStage]]:
    """Return the top of the repository, and what is deployed from it."""
    whole = project.find(folder, None)
    top = _top(folder, whole)
    chosen = names or (whole.stages if whole else ())
    if not chosen:
        return top, [_stage(whole, None, region)]
    return top, [_stage(project.find(folder, name), name, region) for name in chosen]


def _top(folder: Path, found: Project | None) -> Path:
    """Return the top of the repository, where platforms look for the file.

    Raises:
        UsageError: the project file is below it.

    """
    own = found.path.parent if found else folder
    top = next((one for one in (folder, *folder.parents) if (one / ".git").exists()), own)
    if found and own != top:
        raise UsageError(f"{FILE} must be at the top of the repository, {top}, not in {own}")
    return top


def _stage(found: Project | None, name: str | None, region: str | None) -> DeliveryStage:
    choices = found.choices if found else None
    place = (choices.region if choices else None) or region
    if place is None:
        where = f"stage {name}" if name else "this project"
        raise UsageError(f"--region: {where} names no region; give one here, or in {FILE}")
    stack = (choices.stack if choices else None) or DEFAULT_STACK
    return DeliveryStage(name or _ALONE, stack, place, name is not None)


def _tool(top: Path, install: str | None) -> Tool:
    if install is not None:
        return installed(install)
    if (top / "build.py").is_file() and (top / "requirements/build.txt").is_file():
        return CLONE
    raise UsageError(
        "--install: this is not a clone, so say what provides the command tabular-ml-vpc: a "
        "requirement, or a .txt file of requirements with hashes (docs/delivery.md)"
    )


def _write(top: Path, name: str, text: str, force: bool) -> bool:
    """Write the file; return whether it changed.

    Raises:
        CommandError: there is another file, and it was not to be overwritten.

    """
    path, content = top / name, text.encode()
    if path.exists() and not force and path.read_bytes() != content:
        raise CommandError(f"{name} is already here, and differs: --force overwrites it")
    return write(path, content)


def _as_json(name: str, stages: list[DeliveryStage], changed: bool) -> dict[str, object]:
    return {
        "file": PATHS[name],
        "changed": changed,
        "stages": [
            {
                "stage": one.name if one.is_stage else None,
                "environment": one.name,
                "stack": one.stack,
                "region": one.region,
                "plan_role_variable": f"TABULAR_PLAN_ROLE_{one.variable}",
                "deploy_role_variable": f"TABULAR_DEPLOY_ROLE_{one.variable}",
            }
            for one in stages
        ],
    }


def _show(name: str, stages: list[DeliveryStage], changed: bool) -> None:
    print(f"{'Written to' if changed else 'Up to date:'} {PATHS[name]}")
    for one in stages:
        say(f"environment {one.name}: stack {one.stack} in {one.region}")
    show_next(open_console(), ("docs/delivery.md", "the roles, variables and protections it needs"))
