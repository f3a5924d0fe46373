"""What the commands that talk to AWS are made of: one module for each concern, no click, no rich.

``target`` says which account, region and stack is meant; ``stacks`` reads stacks and the stacks
nested in them; ``operation`` follows what CloudFormation does to them; ``artifacts`` brings
templates and zips to S3; ``parameters`` knows the root template's parameters; the others are named
for their command. How it all looks is in ``view`` (the one module that needs rich).
"""

from __future__ import annotations

from typing import Final

DEFAULT_STACK: Final = "tabular"
"""Name of the root stack where none is given."""
