"""The root while it is built: what the stacks that are nested in it have in common."""

from __future__ import annotations

from dataclasses import dataclass, field

from troposphere import Tags, Template

from generator.parameters import RootParameters
from generator.settings import Mode, Settings
from generator.stacks import network_parts, security, storage
from generator.wiring import InputsT, OutputsT, StackTemplate, UniqueName, nest


@dataclass(frozen=True)
class Root:
    """The root's template, and the templates of the stacks that were nested in it."""

    template: Template
    settings: Settings
    mode: Mode
    name: UniqueName
    parameters: RootParameters
    tags: Tags
    stacks: dict[str, Template] = field(default_factory=dict)
    """The templates of the nested stacks, by file name."""

    def nest(
        self,
        stack: StackTemplate[InputsT, OutputsT],
        inputs: InputsT,
        after: tuple[str, ...] = (),
        title: str = "",
    ) -> OutputsT:
        """Add a stack; return its outputs (``generator.wiring.nest``)."""
        self.stacks[stack.name] = stack.template
        return nest(self.template, stack, inputs, self.tags, after, title)


@dataclass(frozen=True)
class Basis:
    """The outputs of the stacks on which those of the pipelines and of Studio rest."""

    security: security.Outputs
    network: network_parts.Outputs
    storage: storage.Outputs
