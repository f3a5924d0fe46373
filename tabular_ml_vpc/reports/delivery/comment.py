"""What a deployment would change, as Markdown for a comment on a pull request.

Names and values come from a pull request. Each is in a block of code whose fence is longer than any
in it: nothing in it mentions a person, links, or looks like a part of the comment.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from generator.errors import CommandError
from pipeline.types import JsonView
from tabular_ml_vpc.figures import counted

LONGEST: Final = 15_000
"""Characters of one comment; GitHub takes 65,536 for all stages together."""
_SIGNS: Final = {"add": "+", "modify": "~", "replace": "!", "remove": "-", "import": ">"}
_PLANNED: Final = {"may replace": "that may be replaced"}
_PARTS: Final = {
    "environment": "environment, a month",
    "studio": "Studio, a month",
    "run": "one run of the pipeline",
    "endpoint": "endpoint, a month",
}


def comment(difference: JsonView, cost: JsonView) -> str:
    """Return the comment, from what ``diff --json`` and ``cost --json`` printed.

    Raises:
        CommandError: one of them failed, or is something else.

    """
    for name, one in (("diff", difference), ("cost", cost)):
        if "error" in one:
            raise CommandError(f"`{name}` failed: {one['error']}")
    try:
        return "\n".join([*_resources(difference), *_protection(difference), *_cost(cost), ""])
    except (KeyError, TypeError, AttributeError) as error:
        raise CommandError(
            f"this is not what `diff --json` and `cost --json` print: {error}"
        ) from (error)


def _resources(difference: JsonView) -> Iterator[str]:
    changes = list(_flat(difference["changes"]))
    would = "would change" if difference["exists"] else "does not exist; it would be created"
    yield f"### {_code(difference['stack'])} {would if changes else 'would not change'}\n"
    if not changes:
        return
    counts = Counter(action for _, action, _ in changes)
    totals = [f"{number} {_PLANNED.get(one, f'to {one}')}" for one, number in counts.items()]
    yield f"**Resources:** {', '.join(totals)}\n"
    yield from _folded("All of them", [line for line, _, _ in sorted(changes, key=_by_weight)])
    if difference["note"]:
        yield "Changes in nested stacks are a forecast from the templates.\n"


def _by_weight(change: tuple[str, str, str]) -> tuple[bool, str]:
    """Sort what loses something before the rest."""
    _, action, place = change
    return action in {"add", "modify"}, place


def _flat(changes: Iterable[JsonView], above: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield line, action and place of each changed resource; nested stacks are only places."""
    for change in changes:
        place, action = f"{above}{change['logical_id']}", change["action"]
        if change["children"]:
            yield from _flat(change["children"], f"{place}/")
            continue
        kind = change["type"].removeprefix("AWS::")
        details = [", ".join(change["properties"]), f"({change['note']})" if change["note"] else ""]
        kept = "the old one is kept" if change["kept"] else ""
        parts = [_SIGNS.get(action, "?"), place, kind, action, *details, kept]
        yield "  ".join(filter(None, parts)), action, place


def _protection(difference: JsonView) -> Iterator[str]:
    looser, tighter = difference["loosenings"], difference["tightenings"]
    if looser:
        verb = "allows more or protects less" if len(looser) == 1 else "allow more or protect less"
        yield f"**Permissions and protection:** {counted(len(looser), 'change')} {verb}\n"
        yield from _block(_lines(looser))
    else:
        yield "**Permissions and protection:** no change allows more or protects less\n"
    if tighter:
        yield from _folded(f"{counted(len(tighter), 'change')} the opposite", _lines(tighter))
    if difference["dropped_settings"]:
        yield "**Settings of the last deployment that are dropped**\n"
        yield from _block([json.dumps(one) for one in difference["dropped_settings"]])
    if difference["validation"]:
        yield "**CloudFormation's validation**\n"
        yield from _block([json.dumps(one) for one in difference["validation"]])


def _lines(loosenings: Iterable[JsonView]) -> Iterator[str]:
    for one in loosenings:
        yield f"{one['place']} ({one['kind']}): {one['what']}: {one['why']}"
        yield f"    before  {_value(one['old'])}"
        yield f"    after   {_value(one['new'])}"


def _value(value: Any) -> str:
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)


def _cost(cost: JsonView) -> Iterator[str]:
    month = cost["month"]
    yield (
        f"**Cost** after the deployment, in {_code(cost['region'])}: "
        f"{month['typical']:,.2f} {_code(cost['currency'])} a month with typical use\n"
    )
    rows = [f"{'':26}{'low':>12}{'typical':>12}{'high':>12}"]
    for part, levels in cost["totals"].items():
        amounts = "".join(f"{levels[level]:12,.2f}" for level in ("low", "typical", "high"))
        rows.append(f"{_PARTS.get(part, part):26}{amounts}")
    yield from _folded("By part", rows)


def _folded(summary: str, lines: Iterable[str]) -> Iterator[str]:
    yield f"<details><summary>{summary}</summary>\n"
    yield from _block(lines)
    yield "</details>\n"


def _block(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines as a block of code; a long one ends with how many were left out."""
    shown: list[str] = []
    left, room = 0, LONGEST // 3
    for line in lines:
        flat = _one_line(line)
        room -= len(flat) + 1
        if room < 0:
            left += 1
        else:
            shown.append(flat)
    if left:
        shown.append(f"... and {counted(left, 'more line')}: see the job's summary or log")
    runs = re.findall("`+", "\n".join(shown))
    fence = "`" * max(3, *(len(run) + 1 for run in runs), 3)
    yield "\n".join([f"{fence}text", *shown, f"{fence}\n"])


def _code(text: str) -> str:
    """Return a short text as code; a backtick in it becomes another quotation mark."""
    return f"`{_one_line(text).replace('`', chr(39))}`"


def _one_line(text: str) -> str:
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in str(text))
