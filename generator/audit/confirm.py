"""Which independent checkers confirm a control: those that object once it is taken out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy

from generator.audit.checkers import Result, each_over
from generator.audit.controls import CONTROLS, Control
from generator.audit.whole import Whole


def undone(intact: Whole, control: Control) -> Whole:
    """Return the deployment without the control.

    Raises:
        KeyError: a property or statement that the control consists of is not there.

    """
    template = deepcopy(dict(intact.template))
    control.undo(template["Resources"])
    return Whole(template, intact.stack_of)


def confirmations(
    intact: Whole, controls: Sequence[Control] = CONTROLS
) -> Mapping[str, Sequence[str]]:
    """Return by a control's title the rules (``checker:rule``) that miss it once it is gone.

    Raises:
        CheckerError: a checker is missing or failed.

    """
    before, *after = each_over([intact, *(undone(intact, control) for control in controls)])
    known = _keys(before)
    return {
        control.title: sorted({rule for rule, _ in _keys(results) - known})
        for control, results in zip(controls, after, strict=True)
    }


def _keys(results: Sequence[Result]) -> set[tuple[str, str]]:
    return {finding.key for result in results for finding in result.findings}
