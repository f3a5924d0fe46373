"""What to deploy: the templates from the last build, or from given settings, and the zips."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

from yaml import YAMLError

from generator import emit, package
from generator.cfn.expressions import NESTED, nested_stacks
from generator.cfn.yaml_text import from_yaml
from generator.errors import CommandError, UsageError
from generator.files import DIST, REPOSITORY, TEMPLATES
from generator.settings import Mode, Settings, SettingsSource, read
from generator.stacks.root import build
from tabular_ml_vpc.operations import stacks
from tabular_ml_vpc.operations.stacks import Stack, StackNode
from tabular_ml_vpc.operations.target import Target

_REBUILD: Final = "run `python build.py` to write it again"
_DEPLOYER: Final = "templates/deployer-policy*.json"


@dataclass(frozen=True)
class Source:
    """Templates and zips by their paths from the repository's top, and the templates' folder."""

    folder: str
    texts: Mapping[str, str]
    zips: Mapping[str, bytes]


@dataclass(frozen=True)
class SourceOptions:
    """Which templates to deploy, in which mode, with which parameters; see ``cli.options``."""

    config: SettingsSource = None
    mode: str | None = None
    parameters: Path | None = None
    pairs: tuple[str, ...] = ()
    bucket: str | None = None
    remembered: Mapping[str, str] = field(default_factory=dict)
    """The project file's values of parameters, below those of a file and of pairs."""
    prefix: str = ""
    """What the keys in the bucket begin with; see ``artifacts.ArtifactBucket``."""


def load(config: SettingsSource, mode: Mode, root: Path = REPOSITORY) -> Source:
    """Return what to deploy in a mode: templates from ``config`` or, without it, the built ones.

    The zips are built again: they are reproducible, so they equal those of the build.

    Raises:
        SettingsError: the settings are not valid.
        CommandError: there are no built templates.

    """
    folder = TEMPLATES[mode]
    texts = _rendered(read(config), mode) if config else _built(root, folder)
    zips = {f"{DIST}/{name}.zip": package.build(name) for name in package.FUNCTIONS}
    return Source(folder, texts, zips)


def _rendered(settings: Settings, mode: Mode) -> dict[str, str]:
    return dict(emit.render(settings.model_copy(update={"modes": (mode,)})))


def _built(root: Path, folder: str) -> dict[str, str]:
    paths = sorted((root / folder).glob("*.yaml"))
    if not paths:
        raise CommandError(f"{folder}/ has no templates: run `python build.py` first")
    templates = {path.relative_to(root).as_posix(): _body(path, root) for path in paths}
    top = templates.get(f"{folder}/root.yaml")
    named = [] if top is None else [f"{folder}/{name}.yaml" for name in nested_stacks(top).values()]
    missing = [name for name in (f"{folder}/root.yaml", *named) if name not in templates]
    if missing:
        raise CommandError(f"{missing[0]} is missing: {_REBUILD}")
    paths += sorted(root.glob(_DEPLOYER))
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def _body(path: Path, root: Path) -> dict[str, Any]:
    """Return a built template.

    Raises:
        CommandError: somebody has damaged it.

    """
    name = path.relative_to(root)
    try:
        body: object = from_yaml(path.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        problem = " ".join(str(error).split())
        raise CommandError(f"{name}: not valid YAML: {problem}; {_REBUILD}") from error
    if not isinstance(body, dict) or not isinstance(body.get("Resources"), dict):
        raise CommandError(f"{name}: not a template: it has no Resources; {_REBUILD}")
    return body


def built_root(mode: Mode | None, root: Path = REPOSITORY) -> dict[str, Any]:
    """Return the built root template of a mode, or of the first mode that was built.

    Raises:
        CommandError: there are no built templates.

    """
    modes = (mode,) if mode else tuple(Mode)
    for folder in (TEMPLATES[one] for one in modes):
        path = root / folder / "root.yaml"
        if path.exists():
            return _body(path, root)
    raise CommandError(f"{TEMPLATES[modes[0]]}/ has no templates: run `python build.py` first")


def deployer_statements(source: Source) -> list[dict[str, Any]]:
    """Return the statements of the deployer's policies (docs/deployer.md)."""
    documents = [
        json.loads(text) for name, text in source.texts.items() if fnmatch(name, _DEPLOYER)
    ]
    return [statement for document in documents for statement in document["Statement"]]


def our_tree(target: Target) -> StackNode | None:
    """Return the target's stack with its nested stacks; None if it does not exist.

    Raises:
        UsageError: the stack is nested in another one, or was not created by this project.

    """
    stack = stacks.find(target)
    if stack is None or stack.status == "DELETE_COMPLETE":
        return None
    node = stacks.tree(target, stack)
    _require_ours(stack, node)
    return node


def _require_ours(stack: Stack, node: StackNode) -> None:
    if stack.parent:
        raise UsageError(
            f"--stack-name: {stack.name!r} is nested in {_name_of(stack.parent)}: give the name of "
            "that stack"
        )
    ours = nested_stacks(emit.as_dict(build(Settings(), Mode.DEV)["root"]))
    foreign = any(resource.type != NESTED for resource in node.resources)
    known = any(resource.logical_id in ours for resource in node.resources)
    if node.resources and (foreign or not known):
        raise UsageError(
            f"--stack-name: {stack.name!r} was not created from these templates (their root has "
            f"{', '.join(ours)} and nothing else); nothing was changed"
        )


def _name_of(arn: str) -> str:
    return arn.split("/")[1] if "/" in arn else arn
