"""Wildcards: whether one pattern matches everything that another one matches.

Every answer is safe: True is proven, False only means that it is not.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import starmap
from typing import Final

_ARN_PARTS: Final = 6
_WILD: Final = re.compile(r"[*?]")


def is_plain(text: str) -> bool:
    """Return whether a text has no wildcards."""
    return not _WILD.search(text)


def matches(wide: str, narrow: str) -> bool:
    """Return whether ``wide`` matches all that the pattern ``narrow`` matches.

    ``?`` stands for no character of a placeholder or policy variable, ``${...}``: its length is
    unknown.
    """
    return wide in ("*", narrow) or bool(_compiled(wide).fullmatch(narrow))


def arn_matches(wide: str, narrow: str) -> bool:
    """Return the same of ARNs, of which a wildcard matches within one of the six parts.

    Source: "Amazon Resource Name (ARN) condition operators", IAM User Guide.
    """
    if wide in ("*", narrow):
        return True
    left, right = (text.split(":", _ARN_PARTS - 1) for text in (wide, narrow))
    return len(left) == len(right) and all(starmap(matches, zip(left, right, strict=True)))


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Write a pattern as a regular expression; a wildcard is matched by a wildcard only."""
    signs = {"*": ".*", "?": "[^*${}]"}
    return re.compile("".join(signs.get(sign) or re.escape(sign) for sign in pattern), re.DOTALL)
