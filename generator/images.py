"""The AWS Deep Learning Container images that the jobs run in.

Source of the accounts: ``image_uri_config/autogluon.json`` of the SageMaker Python SDK 3.27, as
read on 2026-11-24. Only regions that have the training and the inference image are listed, without
those where CloudFormation's schema lacks a resource that we emit: ca-west-1 (Domain),
ap-southeast-4 (UserProfile, ModelPackageGroup) and us-gov-east-1 (ModelPackageGroup). The build's
lint holds the templates against each region listed.
"""

from __future__ import annotations

from dataclasses import dataclass

from troposphere import FindInMap, Ref, Sub

from generator.wiring import Expression, Text

AUTOGLUON_TAG = "1.5.0-cpu-py312-ubuntu22.04"
TAG_PATTERN = r"^[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}$"

MAPPING_NAME = "ImageAccounts"
_COMMERCIAL = "763104351884"
"""The Deep Learning Containers' account in the older commercial regions."""

ACCOUNTS = {
    "af-south-1": {"AutoGluon": "626614931356"},
    "ap-east-1": {"AutoGluon": "871362719292"},
    "ap-northeast-1": {"AutoGluon": _COMMERCIAL},
    "ap-northeast-2": {"AutoGluon": _COMMERCIAL},
    "ap-northeast-3": {"AutoGluon": "364406365360"},
    "ap-south-1": {"AutoGluon": _COMMERCIAL},
    "ap-southeast-1": {"AutoGluon": _COMMERCIAL},
    "ap-southeast-2": {"AutoGluon": _COMMERCIAL},
    "ap-southeast-3": {"AutoGluon": "907027046896"},
    "ca-central-1": {"AutoGluon": _COMMERCIAL},
    "eu-central-1": {"AutoGluon": _COMMERCIAL},
    "eu-north-1": {"AutoGluon": _COMMERCIAL},
    "eu-south-1": {"AutoGluon": "692866216735"},
    "eu-west-1": {"AutoGluon": _COMMERCIAL},
    "eu-west-2": {"AutoGluon": _COMMERCIAL},
    "eu-west-3": {"AutoGluon": _COMMERCIAL},
    "il-central-1": {"AutoGluon": "780543022126"},
    "me-south-1": {"AutoGluon": "217643126080"},
    "sa-east-1": {"AutoGluon": _COMMERCIAL},
    "us-east-1": {"AutoGluon": _COMMERCIAL},
    "us-east-2": {"AutoGluon": _COMMERCIAL},
    "us-gov-west-1": {"AutoGluon": "442386744353"},
    "us-iso-east-1": {"AutoGluon": "886529160074"},
    "us-isob-east-1": {"AutoGluon": "094389454867"},
    "us-west-1": {"AutoGluon": _COMMERCIAL},
    "us-west-2": {"AutoGluon": _COMMERCIAL},
}


@dataclass(frozen=True)
class Repository:
    """An AWS-owned ECR repository; ``family`` is the column of the mapping with its account."""

    name: str
    family: str

    def uri(self, tag: Text) -> Sub:
        """Return the image's URI; works in every partition."""
        return Sub(
            f"${{Account}}.dkr.ecr.${{AWS::Region}}.${{AWS::URLSuffix}}/{self.name}:${{Tag}}",
            Account=self._account(),
            Tag=tag,
        )

    def arn(self) -> Expression:
        """Return the repository's ARN, for the rights to pull from it."""
        return Sub(
            f"arn:${{AWS::Partition}}:ecr:${{AWS::Region}}:${{Account}}:repository/{self.name}",
            Account=self._account(),
        )

    def _account(self) -> FindInMap:
        return FindInMap(MAPPING_NAME, Ref("AWS::Region"), self.family)


TRAINING = Repository("autogluon-training", "AutoGluon")
"""Preprocess and Evaluate run in it too."""
INFERENCE = Repository("autogluon-inference", "AutoGluon")
