"""``python build.py ci``: an example of continuous delivery, written into the user's project."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from generator import delivery_roles, project
from generator.errors import CommandError, UsageError
from generator.files import write
from generator.policies import delivery
from generator.project import FILE, Project
from generator.settings import Settings, read
from tabular_ml_vpc.cli.console import console as open_console
from tabular_ml_vpc.cli.console import print_json, say, show_next
from tabular_ml_vpc.cli.options import DEFAULT_STACK, json_option
from tabular_ml_vpc.cli.project_options import complete_stage
from tabular_ml_vpc.reports.delivery import workflows
from tabular_ml_vpc.reports.delivery.comment import comment as comment_of
from tabular_ml_vpc.reports.delivery.workflows import CLONE, PATHS, DeliveryStage, Tool, installed

_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,200}[a-z0-9])?")
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


def _platform(name: str) -> click.Command:
    """Return the command that writes the files of a platform."""

    @click.command(name, help=f"Write {PATHS[name]}, and templates of the roles in ci/.")
    @click.option(
        "--stage",
        "names",
        multiple=True,
        metavar="NAME",
        shell_complete=complete_stage,
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
    @click.option("--force", is_flag=True, help="Overwrite files that differ.")
    @_host_option(name)
    @json_option
    def write_files(
        names: tuple[str, ...],
        region: str | None,
        branch: str,
        install: str | None,
        force: bool,
        host: str | None,
        as_json: bool,
    ) -> None:
        top, stages = _stages(Path.cwd(), names, region)
        issuer = delivery.gitlab(host) if host else delivery.github()
        tool = _tool(top, install)
        texts = {PATHS[name]: workflows.render(name, [one.stage for one in stages], tool, branch)}
        for one in stages:
            roles = delivery_roles.render(one.settings, issuer, one.stage.name, branch)
            texts[one.roles(name)] = roles
        changed = _write(top, texts, force)
        if as_json:
            print_json(_as_json(name, stages, changed))
        else:
            _show(name, stages, changed)

    return write_files


def _host_option(name: str) -> Callable[..., Any]:
    """Return the option of GitLab's host; the others have one issuer of tokens."""
    return click.option(
        "--host",
        default="gitlab.com" if name == "gitlab" else None,
        show_default=True,
        hidden=name != "gitlab",
        callback=_host,
        help="Host of your GitLab.",
    )


def _host(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not _HOST.fullmatch(value):
        raise UsageError(f"--host: {value!r} is not a host's name, such as gitlab.example.com")
    return value


command.add_command(_platform("github"))
command.add_command(_platform("gitlab"))


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


@dataclass(frozen=True)
class _Planned:
    """A stage and its settings."""

    stage: DeliveryStage
    settings: Settings

    def roles(self, platform: str) -> str:
        """Return the path of the template with its roles."""
        return f"ci/{platform}-{self.stage.name}.yaml"


def _stages(
    folder: Path, names: tuple[str, ...], region: str | None
) -> tuple[Path, list[_Planned]]:
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


def _stage(found: Project | None, name: str | None, region: str | None) -> _Planned:
    choices = found.choices if found else None
    place = (choices.region if choices else None) or region
    if place is None:
        where = f"stage {name}" if name else "this project"
        raise UsageError(f"--region: {where} names no region; give one here, or in {FILE}")
    stack = (choices.stack if choices else None) or DEFAULT_STACK
    stage = DeliveryStage(name or _ALONE, stack, place, name is not None)
    return _Planned(stage, read(found.settings if found else None))


def _tool(top: Path, install: str | None) -> Tool:
    if install is not None:
        return installed(install)
    if (top / "build.py").is_file() and (top / "requirements/build.txt").is_file():
        return CLONE
    raise UsageError(
        "--install: this is not a clone, so say what provides the command tabular-ml-vpc: a "
        "requirement, or a .txt file of requirements with hashes (docs/delivery.md)"
    )


def _write(top: Path, texts: Mapping[str, str], force: bool) -> list[str]:
    """Write the files; return those that changed.

    Raises:
        CommandError: there is another file, and it was not to be overwritten.

    """
    paths = {name: top / name for name in texts}
    other = [
        name
        for name, path in paths.items()
        if path.exists() and path.read_bytes() != texts[name].encode()
    ]
    if other and not force:
        verb = "is already here, and differs" if len(other) == 1 else "are already here, and differ"
        raise CommandError(f"{', '.join(other)} {verb}: --force overwrites")
    return [name for name, text in texts.items() if write(paths[name], text.encode())]


def _as_json(name: str, stages: list[_Planned], changed: list[str]) -> dict[str, object]:
    return {
        "workflow": PATHS[name],
        "changed": changed,
        "stages": [
            {
                "stage": one.stage.name if one.stage.is_stage else None,
                "environment": one.stage.name,
                "stack": one.stage.stack,
                "region": one.stage.region,
                "roles": one.roles(name),
                "plan_role_variable": f"TABULAR_PLAN_ROLE_{one.stage.variable}",
                "deploy_role_variable": f"TABULAR_DEPLOY_ROLE_{one.stage.variable}",
            }
            for one in stages
        ],
    }


def _show(name: str, stages: list[_Planned], changed: list[str]) -> None:
    print(f"written: {', '.join(changed)}" if changed else "nothing changed")
    for one in stages:
        stage = one.stage
        say(f"environment {stage.name}: stack {stage.stack} in {stage.region}")
    first = stages[0]
    make_roles = (
        f"aws cloudformation deploy --template-file {first.roles(name)} --region "
        f"{first.stage.region} --stack-name ci-{first.stage.stack} --capabilities "
        "CAPABILITY_NAMED_IAM --parameter-overrides Repository=..."
    )
    show_next(
        open_console(),
        (make_roles, "create the roles; docs/delivery.md has the rest"),
    )
