"""Example workflows for GitHub and GitLab, from the stages of a project.

The templates use ``[[ ]]`` and ``[% %]``, since ``${{ }}`` is GitHub's. What people chose is
checked against patterns here, so that it can be neither YAML nor shell. An expression of GitHub's
is never a part of a script: values reach scripts as environment variables.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from generator.errors import UsageError

PATHS: Final = {"github": ".github/workflows/tabular.yml", "gitlab": ".gitlab-ci.yml"}
"""The file of each platform, relative to the top of the user's repository."""
_STAGE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,21}")
_BRANCH: Final = re.compile(r"(?!.*\.\.)[A-Za-z0-9][\w./-]{0,99}", re.ASCII)
_CLONE: Final = (
    "python -m pip install --quiet --no-deps --require-hashes -r requirements/build.txt",
)


@dataclass(frozen=True)
class DeliveryStage:
    """One stack that is deployed: a stage of the project file, or the project itself."""

    name: str
    """The stage's name, which its environment has, too."""
    stack: str
    region: str
    is_stage: bool = True
    """Whether the project file has the stage; otherwise it has none at all."""

    @property
    def variable(self) -> str:
        """Return what the names of the variables with its roles end with."""
        return self.name.upper().replace("-", "_")


@dataclass(frozen=True)
class Tool:
    """How a job gets the command line, and what it is called there."""

    install: Sequence[str]
    """Lines of a shell script."""
    command: str


CLONE: Final = Tool(_CLONE, "python build.py")
"""The repository is a clone of this project: its requirements are installed, hashes checked."""


_PINNED: Final = re.compile(r"@[0-9a-f]{40}(#\S*)?$")


def installed(what: str) -> Tool:
    """Return the installed command, from a requirement or a file of requirements with hashes.

    Raises:
        UsageError: it is not one line, or can be other code tomorrow.

    """
    if not what.strip() or not what.isprintable() or what.startswith("-"):
        raise UsageError(
            f"--install: got {what!r}: give a requirement, such as a wheel's path or git+https://"
            "HOST/REPOSITORY@COMMIT, or a file of requirements"
        )
    if "git+" in what and not _PINNED.search(what):
        raise UsageError(
            f"--install: got {what!r}: must name a commit, @ and its 40 hexadecimal digits: a "
            "branch or a tag can be moved to code that then runs with the deploy role"
        )
    source = "--require-hashes -r " if what.endswith(".txt") else ""
    line = f"python -m pip install --quiet {source}{shlex.quote(what)}"
    return Tool((line,), "tabular-ml-vpc")


def render(platform: str, stages: Sequence[DeliveryStage], tool: Tool, branch: str) -> str:
    """Return the text of a platform's file.

    Raises:
        UsageError: a stage or the branch has a name that cannot be used.

    """
    _check(stages, branch)
    templates = Environment(  # noqa: S701 - YAML; the values are checked, see above
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        variable_start_string="[[",
        variable_end_string="]]",
        block_start_string="[%",
        block_end_string="%]",
        comment_start_string="[#",
        comment_end_string="#]",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    template = templates.get_template(f"{platform}.yml.j2")
    text: str = template.render(stages=stages, tool=tool, branch=branch, platform=platform)
    return text


def _check(stages: Sequence[DeliveryStage], branch: str) -> None:
    for stage in stages:
        if not _STAGE.fullmatch(stage.name):
            raise UsageError(
                f"--stage: {stage.name!r} cannot name a job: use a letter, then at most 21 "
                "letters, digits, hyphens and underscores"
            )
    same = {stage.variable for stage in stages}
    if len(same) < len(stages):
        names = ", ".join(stage.name for stage in stages)
        raise UsageError(f"--stage: {names}: two of them differ only in case, '-' and '_'")
    if not _BRANCH.fullmatch(branch):
        raise UsageError(
            f"--branch: {branch!r} is not a valid branch name: use letters, digits and ._/-"
        )
