"""Permissions of the role with which S3 replicates the data bucket, if the settings request it.

Source: S3 user guide, "Setting up permissions for live replication", "Replicating encrypted
objects", "Using Object Lock with S3 Replication" and "Using Amazon S3 Bucket Keys with
replication": with bucket keys, S3 also decrypts the replica's data key.
"""

from __future__ import annotations

from awacs import kms, s3, sts
from awacs.aws import Allow, Condition, Principal, Statement, StringEquals
from troposphere import Sub

from generator.policies.statements import allow, bucket_arn, objects_arn
from generator.wiring import BucketName, KeyArn


def trust_s3() -> Statement:
    """Trust S3; for replication it documents no condition key."""
    return Statement(
        Effect=Allow, Principal=Principal("Service", "s3.amazonaws.com"), Action=[sts.AssumeRole]
    )


def replicate(
    bucket: BucketName, key: KeyArn, replica_bucket: str, replica_key: str, *, locked: bool
) -> list[Statement]:
    """Read every version of ``bucket``, and write copies under the replica's key.

    ``replica_bucket`` and ``replica_key`` are ARNs; ``locked`` tells whether versions are locked.
    """
    region = replica_key.split(":")[3]
    locks = [s3.GetObjectLegalHold, s3.GetObjectRetention] if locked else []
    return [
        allow(
            "ReadSource",
            [s3.GetReplicationConfiguration, s3.ListBucket],
            [bucket_arn(bucket)],
        ),
        allow(
            "ReadVersions",
            [
                s3.GetObjectVersionAcl,
                s3.GetObjectVersionForReplication,
                s3.GetObjectVersionTagging,
                *locks,
            ],
            [objects_arn(bucket)],
        ),
        allow(
            "WriteCopies",
            [s3.ReplicateDelete, s3.ReplicateObject, s3.ReplicateTags],
            [f"{replica_bucket}/*"],
        ),
        allow("DecryptSource", [kms.Decrypt], [key], _only_through_s3("${AWS::Region}")),
        allow("EncryptCopies", [kms.Decrypt, kms.Encrypt], [replica_key], _only_through_s3(region)),
    ]


def _only_through_s3(region: str) -> Condition:
    return Condition(StringEquals("kms:ViaService", Sub(f"s3.{region}.${{AWS::URLSuffix}}")))
