"""``Custom::SeedData``: a synthetic table where the pipeline reads its input.

Event: ``Bucket``, ``Key``, ``Rows`` (100 to 10,000,000), ``Seed`` (an integer); see
:mod:`functions.seed_data.properties`. Returns ``Uri``, the file's S3 URI, whether the file is ours
or was there already.

Create and Update write the table if nothing is there, or rewrite it if the file is this resource's
own and another table is asked for. Delete removes the file if it is still ours.

Permissions:

- ``s3:GetObject`` (reads the mark; also asked for by ``If-Match``), ``s3:PutObject``,
  ``s3:DeleteObject``, ``s3:AbortMultipartUpload`` on the object
- ``s3:ListBucket`` on the bucket, without a prefix condition (else S3 says "forbidden" of a file
  that is absent, "API_HeadObject")
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
    """Answer one event of CloudFormation."""
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
