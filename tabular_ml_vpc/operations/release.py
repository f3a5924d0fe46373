"""What is to be deployed to a stack: a package of templates and zips, and parameter values."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from generator.cfn.evaluator import ROOT
from generator.cfn.expressions import nested_stacks
from generator.cfn.parameters import ParameterDefinitions, definitions
from generator.settings import Mode
from pipeline.types import JsonView
from tabular_ml_vpc.operations import checks_existing_vpc, parameters, source, stacks
from tabular_ml_vpc.operations.artifacts import ArtifactBucket, Package, assemble
from tabular_ml_vpc.operations.changes import ChangeSet, ChangeSets, DeployRequest
from tabular_ml_vpc.operations.dropped import DroppedSetting, dropped
from tabular_ml_vpc.operations.source import Source, SourceOptions
from tabular_ml_vpc.operations.stacks import StackNode
from tabular_ml_vpc.operations.target import Target


@dataclass(frozen=True)
class Release:
    """A package for a target, beside the deployed stack (None if it does not exist)."""

    target: Target
    node: StackNode | None
    bucket: ArtifactBucket
    package: Package
    given: Mapping[str, str]
    """The parameter values that were given; see ``values`` for all."""
    role: str | None = None
    """ARN of the service role that CloudFormation assumes (docs/deployer.md)."""

    @classmethod
    def prepare(
        cls,
        target: Target,
        node: StackNode | None,
        options: SourceOptions,
        built: Source | None = None,
        role: str | None = None,
    ) -> Release:
        """Package what was built, by default what ``source.load`` returns; upload nothing.

        Raises:
            UsageError: the settings or a parameter cannot be used.
            CommandError: there are no built templates.

        """
        mode = options.mode or deployed_mode(target, node) or Mode.DEV
        built = built or source.load(options.config, Mode(mode))
        bucket = ArtifactBucket(target, options.bucket, options.prefix)
        package = assemble(bucket, built)
        known = definitions(package.root_template)
        given = parameters.given(options.parameters, options.pairs, known, options.remembered)
        release = cls(target, node, bucket, package, given, role)
        parameters.check_gate(release.values)
        return release

    @cached_property
    def definitions(self) -> ParameterDefinitions:
        """Return the parameters of the root template."""
        return definitions(self.package.root_template)

    @property
    def templates(self) -> dict[str, dict[str, Any]]:
        """Return the templates by name, the root's being ``root``."""
        root, nested = self.package.root_template, self.package.nested()
        return {ROOT: root} | {name: nested[title] for title, name in nested_stacks(root).items()}

    @property
    def values(self) -> dict[str, str]:
        """Return the values that all parameters would have."""
        return parameters.effective(self.definitions, self.given, self._current)

    @property
    def request(self) -> DeployRequest:
        """Return what to request of CloudFormation."""
        rows = parameters.as_request(self.definitions, self.given, self._current)
        return DeployRequest(self.bucket.url_of(self.package.root), rows, self.role)

    def change_set(self) -> AbstractContextManager[ChangeSet]:
        """Give a change set; see ``ChangeSets.open``."""
        return ChangeSets(self.target).open(self.request)

    def dropped(self) -> tuple[DroppedSetting, ...]:
        """Return the settings of the deployed stack that the package leaves at their defaults."""
        return dropped(self._deployed, self.package.root_template) if self._deployed else ()

    def moved(self) -> str:
        """Return why the deployed stack cannot go into another VPC; empty if it stays."""
        deployed = self._deployed
        return checks_existing_vpc.moved(deployed, self.package.root_template) if deployed else ""

    @cached_property
    def _deployed(self) -> JsonView | None:
        """Return the deployed root template, if there is one."""
        return stacks.template(self.target, self.node.stack.id) if self.node else None

    @property
    def _current(self) -> Mapping[str, str]:
        return self.node.stack.parameters if self.node else {}


def deployed_mode(target: Target, node: StackNode | None) -> str | None:
    """Return the mode of the deployed stack, if it exists and its templates say."""
    return stacks.mode_of(target, node) if node else None
