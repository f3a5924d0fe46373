"""Placeholders for the resources of a stack that is compared with another."""

from __future__ import annotations

from generator.cfn.identifiers import PlaceholderIdentity
from tabular_ml_vpc.operations.pipelines import is_named


class StackPlaceholders(PlaceholderIdentity):
    """Placeholders such as ``${Key}``, and ``${ChurnPipeline.PipelineRole}`` in a named pipeline.

    The stacks of named pipelines have the same logical ids: with the same placeholders, the rights
    of one pipeline's role would seem to be those of all, and hide what another's gains.
    """

    def digits(self, logical_id: str, length: int = 17) -> str:
        """Return the placeholder, with the stack's name in it if it is a named pipeline's."""
        stack = self.stack_name.removeprefix("${").removesuffix("}")
        within = f"{stack.removesuffix('Stack')}." if logical_id and is_named(stack) else ""
        return super().digits(f"{within}{logical_id}", length)
