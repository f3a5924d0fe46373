"""What `make bench` runs in the jobs' environment, with pandas, AutoGluon and the rest.

Each module prints its findings as JSON in its last line; `tests.bench.job_scripts.inside` runs it.
"""

from typing import Final

LABEL: Final = "outcome"
"""The label's column in every real table."""

CLASSES: Final = "classes"
REGRESSION: Final = "regression"
"""What a real table's label asks for."""
