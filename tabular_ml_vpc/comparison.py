"""What an evaluation says about a model beside the one that serves, in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tabular_ml_vpc.figures import figure


@dataclass(frozen=True)
class Comparison:
    """A new model beside the one that serves (`champion` in `evaluation.json`).

    `value` is the serving model's on the new one's test data, `lead` the new model's minus it. Both
    are None if they were not compared; `serves` says whether there was a model to compare with.
    """

    metric: str
    value: float | None = None
    lead: float | None = None
    serves: bool = True
    reason: str = ""

    @property
    def warns(self) -> bool:
        """Whether the model passed without the comparison that the deployment asks for."""
        return self.serves and self.value is None

    def __str__(self) -> str:
        if not self.serves:
            return "No model serves yet, so there was nothing to compare the model with."
        if self.value is None or self.lead is None:
            return f"The model was not compared with the serving model: {self.reason}."
        how = "as good"
        if self.lead:
            how = f"{'better' if self.lead > 0 else 'worse'} by {figure(abs(self.lead))}"
        value = f"{self.metric} {figure(self.value)}"
        return f"The serving model has {value} on the same rows: the new model is {how}."


def comparison(evaluation: Mapping[str, Any]) -> Comparison | None:
    """What `evaluation.json`, whoever wrote it, says of the serving model; None if nothing."""
    found = evaluation.get("champion")
    if not isinstance(found, Mapping):
        return None
    value, lead = (
        float(found[name]) if type(found.get(name)) is float else None for name in ("value", "lead")
    )
    return Comparison(
        str(found.get("metric")),
        None if lead is None else value,
        None if value is None else lead,
        found.get("serves") is not False,
        str(found.get("reason")),
    )
