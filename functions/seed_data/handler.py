"""``Custom::SeedData``: a synthetic table at the pipeline's input location.

Event: ``Bucket``, ``Key``, ``Rows`` (100 to 10,000,000), ``Seed`` (an integer); see
:mod:`functions.seed_data.properties`. Returns ``Uri``, the file's S3 URI, whether the file is ours
or existed already.

Create and Update write the table if there is no file, or rewrite it if the file is this resource's
own and the properties describe another table. Delete removes the file if it is still ours.

Permissions:

- ``s3:GetObject`` (to read the mark; ``If-Match`` also requires it), ``s3:PutObject``,
  ``s3:DeleteObject``, ``s3:AbortMultipartUpload`` on the object
- ``s3:ListBucket`` on the bucket, without a prefix condition (otherwise S3 returns "forbidden" for
  a missing file, "API_HeadObject")
- ``kms:GenerateDataKey``, ``kms:Decrypt`` on the bucket's key, through S3 (an upload in parts needs
  both, "Uploading and copying objects using multipart upload")
- ``cloudformation:DescribeStacks`` on the stack
"""

from __future__ import annotations

from functions.seed_data.core import SeedFile, owner_mark
from functions.seed_data.properties import SeedDataProperties
from functions.shared.custom_resource import Attributes, Event, LambdaContext, Request, serve
from functions.shared.properties import from_event


def handler(event: Event, context: LambdaContext) -> None:
    """Handle one event from CloudFormation."""
    serve(event, context, _act)


def _act(request: Request) -> Attributes:
    file = SeedFile(
        s3=request.client("s3"),
        properties=from_event(SeedDataProperties, request.properties),
        owner=owner_mark(request.stack_id, request.logical_id),
        deadline=request.deadline,
    )
    if request.deletes:
        file.remove()
    else:
        file.write()
    return {"Uri": file.uri}
