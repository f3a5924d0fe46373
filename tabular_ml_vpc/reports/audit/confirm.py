"""Which independent checkers confirm a control: those that object once it is taken out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy

from tabular_ml_vpc.reports.audit.checkers import Result, each_over
from tabular_ml_vpc.reports.audit.controls import CONTROLS, Control
from tabular_ml_vpc.reports.audit.whole import CombinedTemplate


def undone(intact: CombinedTemplate, control: Control) -> CombinedTemplate:
    """Return the deployment without the control.

    Raises:
        KeyError: a property or statement that the control consists of is not there.

    """
    template = deepcopy(dict(intact.template))
    control.undo(template["Resources"])
    return CombinedTemplate(template, intact.stack_of)


def confirmations(
    intact: CombinedTemplate, controls: Sequence[Control] = CONTROLS
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
