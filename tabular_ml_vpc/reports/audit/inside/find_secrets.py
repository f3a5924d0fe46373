"""Searches files for secrets with the plugins of detect-secrets, in the checkers' environment.

    .venv-audit/bin/python find_secrets.py FILE...

Prints ``[{"file", "line", "kind"}]``. It skips the keyword plugin, which reports any assignment to
a name such as ``password``: code about secrets is full of those.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from detect_secrets.core.scan import scan_file
from detect_secrets.settings import transient_settings

PLUGINS = (
    *("ArtifactoryDetector", "AWSKeyDetector", "AzureStorageKeyDetector", "BasicAuthDetector"),
    *("CloudantDetector", "GitHubTokenDetector", "IbmCloudIamDetector", "JwtTokenDetector"),
    *("MailchimpDetector", "NpmDetector", "PrivateKeyDetector", "SendGridDetector"),
    *("SlackDetector", "SoftlayerDetector", "SquareOAuthDetector", "StripeDetector"),
    *("TwilioKeyDetector",),
)
ENTROPY = (
    {"name": "Base64HighEntropyString", "limit": 4.5},
    {"name": "HexHighEntropyString", "limit": 3.0},
)


def main(files: Sequence[str]) -> None:
    """Scan the files and print possible secrets."""
    plugins = [*({"name": name} for name in PLUGINS), *ENTROPY]
    with transient_settings({"plugins_used": plugins}):
        found = [
            {"file": name, "line": secret.line_number, "kind": secret.type}
            for name in files
            for secret in scan_file(name)
        ]
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
