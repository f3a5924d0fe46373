"""The AWS Deep Learning Container images that the jobs run in.

Source of the accounts: ``image_uri_config/autogluon.json`` of the SageMaker Python SDK 3.27, as
read on 2026-11-24. Only regions that have the training and the inference image are listed, without
those where CloudFormation's schema lacks a resource that we emit: ca-west-1 (Domain),
ap-southeast-4 (UserProfile, ModelPackageGroup) and us-gov-east-1 (ModelPackageGroup). The build
lints the templates for each region listed.
"""

from __future__ import annotations

from dataclasses import dataclass

from troposphere import FindInMap, Ref, Sub

from generator.wiring import Expression, Text

AUTOGLUON_TAG = "1.5.0-cpu-py312-ubuntu22.04"

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
    """An AWS-owned ECR repository; ``family`` is the mapping's column with its account."""

    name: str
    family: str

    def uri(self, tag: Text) -> Sub:
        """Return the image's URI, in any partition."""
        return Sub(
            f"${{Account}}.dkr.ecr.${{AWS::Region}}.${{AWS::URLSuffix}}/{self.name}:${{Tag}}",
            Account=self._account(),
            Tag=tag,
        )

    def arn(self) -> Expression:
        """Return the repository's ARN, for permissions to pull from it."""
        return Sub(
            f"arn:${{AWS::Partition}}:ecr:${{AWS::Region}}:${{Account}}:repository/{self.name}",
            Account=self._account(),
        )

    def _account(self) -> FindInMap:
        return FindInMap(MAPPING_NAME, Ref("AWS::Region"), self.family)


SPARK_TAG = "3.5-cpu-py312-v1.0"
SPARK_ACCOUNTS = {
    "af-south-1": "309385258863",
    "ap-east-1": "732049463269",
    "ap-northeast-1": "411782140378",
    "ap-northeast-2": "860869212795",
    "ap-northeast-3": "102471314380",
    "ap-south-1": "105495057255",
    "ap-southeast-1": "759080221371",
    "ap-southeast-2": "440695851116",
    "ap-southeast-3": "800295151634",
    "ca-central-1": "446299261295",
    "eu-central-1": "906073651304",
    "eu-north-1": "330188676905",
    "eu-south-1": "753923664805",
    "eu-west-1": "571004829621",
    "eu-west-2": "836651553127",
    "eu-west-3": "136845547031",
    "il-central-1": "408426139102",
    "me-south-1": "750251592176",
    "sa-east-1": "737130764395",
    "us-east-1": "173754725891",
    "us-east-2": "314815235551",
    "us-gov-west-1": "271483468897",
    "us-west-1": "667973535471",
    "us-west-2": "153931337802",
}
"""Accounts of SageMaker's Spark processing images, in the regions of ``ACCOUNTS`` that have them.

Source: Spark 3.5 in ``image_uri_config/spark.json`` of sagemaker-core 2.27, which has 40 regions,
without us-iso-east-1 and us-isob-east-1. The tag belongs to the release that pull request 161 of
aws/sagemaker-spark-container describes ("Release Spark 3.5-cpu-py312-v1.0").
"""


def accounts(spark: bool) -> dict[str, dict[str, str]]:
    """Return the accounts by region and family, for regions that have every required image."""
    if not spark:
        return ACCOUNTS
    return {
        region: ACCOUNTS[region] | {"Spark": account} for region, account in SPARK_ACCOUNTS.items()
    }


TRAINING = Repository("autogluon-training", "AutoGluon")
"""Preprocess and Evaluate run in it too."""
INFERENCE = Repository("autogluon-inference", "AutoGluon")
SPARK = Repository("sagemaker-spark-processing", "Spark")
"""Where Preprocess runs on several machines."""
