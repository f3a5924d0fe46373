"""``Custom::EmptyBucket``: a bucket that can be deleted with its stack.

Event: ``Bucket``. Returns nothing.

Create and Update only check that the bucket exists. Deleting the stack empties the bucket if it has
the tag ``empty-on-delete`` with the stack's id as value: it denies new writes, then removes all
versions, delete markers and unfinished uploads. A repeated Delete continues where it stopped.

Permissions:

- ``s3:ListBucket`` (for HeadBucket), ``s3:GetBucketTagging``, ``s3:GetBucketPolicy``,
  ``s3:PutBucketPolicy``, ``s3:ListBucketVersions``, ``s3:ListBucketMultipartUploads`` on the bucket
- ``s3:DeleteObject``, ``s3:DeleteObjectVersion``, ``s3:AbortMultipartUpload`` on its objects
- ``cloudformation:DescribeStacks`` on the stack
"""

from __future__ import annotations

from functions.empty_bucket.core import Emptying
from functions.empty_bucket.properties import EmptyBucketProperties
from functions.shared.custom_resource import Attributes, Event, LambdaContext, Request, serve
from functions.shared.properties import from_event


def handler(event: Event, context: LambdaContext) -> None:
    """Handle one event from CloudFormation."""
    serve(event, context, _act)


def _act(request: Request) -> Attributes:
    properties = from_event(EmptyBucketProperties, request.properties)
    emptying = Emptying(request.client("s3"), properties.bucket, request.stack_id, request.deadline)
    if request.deletes:
        emptying.run()
    else:
        emptying.check_exists()
    return {}
