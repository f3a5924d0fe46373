"""Operations on a deployed copy, one module for each concern; nothing here uses click or rich.

``target`` is the account, region and stack of a command; ``stacks`` reads stacks and their nested
stacks; ``operation`` follows what CloudFormation does to them; ``artifacts`` uploads templates and
zips to S3; ``parameters`` reads values for the root template's parameters; the other modules are
named after their commands.
"""

from __future__ import annotations

from typing import Final

DEFAULT_STACK: Final = "tabular"
"""Default name of the root stack."""
