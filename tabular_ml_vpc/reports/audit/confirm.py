"""Finds the independent checkers that confirm a control: those that object when it is removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace

from tabular_ml_vpc.reports.audit.checkers import Result, each_over
from tabular_ml_vpc.reports.audit.controls import CONTROLS, Control
from tabular_ml_vpc.reports.audit.whole import CombinedTemplate


def undone(intact: CombinedTemplate, control: Control) -> CombinedTemplate:
    """Return the deployment without the control.

    Raises:
        KeyError: the deployment lacks a property or statement of the control.

    """
    template = deepcopy(dict(intact.template))
    control.undo(template["Resources"])
    return replace(intact, template=template)


def confirmations(
    intact: CombinedTemplate, controls: Sequence[Control] = CONTROLS
) -> Mapping[str, Sequence[str]]:
    """Return, by control title, the rules (``checker:rule``) that fail when it is removed.

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
