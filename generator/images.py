"""The AWS Deep Learning Container images that the jobs run in.

Source of the accounts: ``image_uri_config/autogluon.json`` and ``sklearn.json`` of the SageMaker
Python SDK 3.27, as read on 2026-11-24. Only regions that have both images are listed, without
those where CloudFormation's schema lacks a resource that we emit: ca-west-1 (Domain),
ap-southeast-4 (UserProfile, ModelPackageGroup) and us-gov-east-1 (ModelPackageGroup). The build's
lint holds the templates against each region listed.
"""

from __future__ import annotations

from dataclasses import dataclass

from troposphere import FindInMap, Ref, Sub

from generator.wiring import Expression, Text

AUTOGLUON_TAG = "1.5.0-cpu-py312-ubuntu22.04"
SKLEARN_TAG = "1.9-0-cpu-py3"
TAG_PATTERN = r"^[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}$"

MAPPING_NAME = "ImageAccounts"
_COMMERCIAL = "763104351884"
"""The Deep Learning Containers' account in the older commercial regions."""

ACCOUNTS = {
    "af-south-1": {"AutoGluon": "626614931356", "Sklearn": "510948584623"},
    "ap-east-1": {"AutoGluon": "871362719292", "Sklearn": "651117190479"},
    "ap-northeast-1": {"AutoGluon": _COMMERCIAL, "Sklearn": "354813040037"},
    "ap-northeast-2": {"AutoGluon": _COMMERCIAL, "Sklearn": "366743142698"},
    "ap-northeast-3": {"AutoGluon": "364406365360", "Sklearn": "867004704886"},
    "ap-south-1": {"AutoGluon": _COMMERCIAL, "Sklearn": "720646828776"},
    "ap-southeast-1": {"AutoGluon": _COMMERCIAL, "Sklearn": "121021644041"},
    "ap-southeast-2": {"AutoGluon": _COMMERCIAL, "Sklearn": "783357654285"},
    "ap-southeast-3": {"AutoGluon": "907027046896", "Sklearn": "951798379941"},
    "ca-central-1": {"AutoGluon": _COMMERCIAL, "Sklearn": "341280168497"},
    "eu-central-1": {"AutoGluon": _COMMERCIAL, "Sklearn": "492215442770"},
    "eu-north-1": {"AutoGluon": _COMMERCIAL, "Sklearn": "662702820516"},
    "eu-south-1": {"AutoGluon": "692866216735", "Sklearn": "978288397137"},
    "eu-west-1": {"AutoGluon": _COMMERCIAL, "Sklearn": "141502667606"},
    "eu-west-2": {"AutoGluon": _COMMERCIAL, "Sklearn": "764974769150"},
    "eu-west-3": {"AutoGluon": _COMMERCIAL, "Sklearn": "659782779980"},
    "il-central-1": {"AutoGluon": "780543022126", "Sklearn": "898809789911"},
    "me-south-1": {"AutoGluon": "217643126080", "Sklearn": "801668240914"},
    "sa-east-1": {"AutoGluon": _COMMERCIAL, "Sklearn": "737474898029"},
    "us-east-1": {"AutoGluon": _COMMERCIAL, "Sklearn": "683313688378"},
    "us-east-2": {"AutoGluon": _COMMERCIAL, "Sklearn": "257758044811"},
    "us-gov-west-1": {"AutoGluon": "442386744353", "Sklearn": "414596584902"},
    "us-iso-east-1": {"AutoGluon": "886529160074", "Sklearn": "833128469047"},
    "us-isob-east-1": {"AutoGluon": "094389454867", "Sklearn": "281123927165"},
    "us-west-1": {"AutoGluon": _COMMERCIAL, "Sklearn": "746614075791"},
    "us-west-2": {"AutoGluon": _COMMERCIAL, "Sklearn": "246618743249"},
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


PREPROCESS = Repository("sagemaker-scikit-learn", "Sklearn")
TRAINING = Repository("autogluon-training", "AutoGluon")
INFERENCE = Repository("autogluon-inference", "AutoGluon")
