"""The templates and zips in a bucket, for people who create the stack in AWS's console."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tabular_ml_vpc.operations import preflight
from tabular_ml_vpc.operations.artifacts import Uploaded
from tabular_ml_vpc.operations.release import Release
from tabular_ml_vpc.operations.source import SourceOptions
from tabular_ml_vpc.operations.target import Target


@dataclass(frozen=True)
class Publication:
    """What was uploaded, and where the root template is."""

    bucket: str
    bucket_created: bool
    uploaded: Uploaded
    template_url: str
    parameters: Mapping[str, str]
    """The values that were given; the others have their defaults."""

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "bucket": self.bucket,
            "bucket_created": self.bucket_created,
            "uploaded": {"sent": self.uploaded.sent, "of": self.uploaded.total},
            "template_url": self.template_url,
            "parameters": dict(self.parameters),
        }


def publish(target: Target, options: SourceOptions) -> Publication:
    """Upload what is not in the bucket yet; existing stacks are not looked at.

    Raises:
        UsageError: an option cannot be used.
        CommandError: there are no built templates, or the default bucket cannot be used.

    """
    preflight.check_region(target.region)
    preflight.check(target.stack, options, region=target.region)
    release = Release.prepare(target, None, options)
    bucket = release.bucket
    created = bucket.ensure()
    uploaded = bucket.upload(release.package)
    url = bucket.url_of(release.package.root)
    return Publication(bucket.name, created, uploaded, url, release.given)
