"""Everything around the generator, one room for each audience.

- ``cli``: the command line (click and rich). One module for each command.
- ``operations``: what happens to a deployed copy (boto3). Nothing here prints.
- ``reports``: templates and runs in, documents out: cost, diagrams, site, audit, run report.
- ``local``: AWS on this machine: the jobs of a run, and an emulated AWS.

Imports point downward only: ``cli``, then ``operations`` and ``reports``, then ``local``, then
``generator``, ``functions`` and ``pipeline``.
"""

__version__ = "0.1.0"
