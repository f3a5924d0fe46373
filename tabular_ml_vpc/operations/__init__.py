"""Operations on a deployed copy, one module for each concern; nothing here uses click or rich.

``target`` is the account, region and stack of a command; ``stacks`` reads stacks and their nested
stacks; ``source`` and ``release`` are what is to be deployed; ``artifacts`` uploads it to S3;
``changes`` and ``comparison`` say what would change; ``stack_requests`` asks CloudFormation to
work, and ``operation`` follows it. ``deployment`` and ``destruction`` put these together: objects
that yield what happens as ``events``, some of them questions; the command line shows and asks them.
The other modules are named after their commands.
"""

from __future__ import annotations

from typing import Final

DEFAULT_STACK: Final = "tabular"
"""Default name of the root stack."""
