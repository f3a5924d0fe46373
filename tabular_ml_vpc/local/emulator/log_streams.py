"""FilterLogEvents of only the streams whose names start with ``logStreamNamePrefix``.

Ministack ignores the prefix, so that every job seems to have written what all jobs wrote. Source:
"FilterLogEvents", Amazon CloudWatch Logs API Reference.
"""

from __future__ import annotations

from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import cloudwatch_logs

BOTH = "LogStreamNames and logStreamNamePrefix are mutually exclusive."
NOTHING = [""]
"""No stream has this name."""


def register() -> None:
    """Replace a prefix by the names of the streams that start with it."""
    stock = cloudwatch_logs._filter_log_events

    def filter_log_events(request: dict[str, Any]) -> Any:
        prefix = request.get("logStreamNamePrefix")
        if not prefix:
            return stock(request)
        if request.get("logStreamNames"):
            return error_response_json("InvalidParameterException", BOTH, 400)
        group = cloudwatch_logs._log_groups.get(cloudwatch_logs._resolve_log_group_name(request))
        streams = [name for name in (group or {}).get("streams", ()) if name.startswith(prefix)]
        return stock(request | {"logStreamNames": streams or NOTHING})

    cloudwatch_logs._filter_log_events = filter_log_events
