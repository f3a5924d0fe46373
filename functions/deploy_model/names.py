"""Names of configurations, which say which version they serve."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from functions.deploy_model.properties import DeployModelProperties

_HASH_DIGITS: Final = 6


def config_name(version: int, instance_type: str, properties: DeployModelProperties) -> str:
    """Return the name of a version's configuration; other settings make another name."""
    decided = [instance_type, properties.instances, properties.key_arn]
    if properties.capture_percent:
        decided += [properties.capture_percent, properties.capture_uri]
    if properties.asynchronous:
        decided += [properties.asynchronous_uri, properties.answered_topic, properties.failed_topic]
    digest = hashlib.sha256(json.dumps(decided).encode()).hexdigest()[:_HASH_DIGITS]
    return f"v{version}-{digest}-{properties.endpoint_name}"


def version_of(config: str, endpoint: str) -> int:
    """Return the version that a configuration of that name serves; 0 for another's name."""
    pattern = rf"v([1-9][0-9]{{0,8}})-[0-9a-f]{{{_HASH_DIGITS}}}-{re.escape(endpoint)}"
    match = re.fullmatch(pattern, config)
    return int(match[1]) if match else 0
