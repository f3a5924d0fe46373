"""cfn-lint, informational rules included, over the templates of unusual settings.

Those of the defaults are linted by every build.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from generator import emit
from generator.files import DIST
from generator.lint import lint
from generator.package import FUNCTIONS
from generator.regions import deployable
from generator.settings import Settings
from generator.settings_network import InterfaceEndpoint
from generator.settings_people import Persona
from tests.existing_vpc import EXISTING, EXISTING_WITH_OURS

SEVERAL = [
    {"name": "main", "label": "price"},
    {"name": "churn", "quality_threshold": 0.8, "alert_email": ""},
    {"name": "fraud-eu", "preprocess_engine": "spark"},
]
VARIANTS: dict[str, dict[str, Any]] = {
    "the largest": {
        "project": "a" * 30,
        "tags": {"team": "risk", "cost-center": "42"},
        "network": {
            "cidr": "10.0.0.0/24",
            "zones": 3,
            "endpoint_zones": 3,
            "interface_endpoints": list(InterfaceEndpoint),
        },
        "studio": {
            "user_profiles": [f"person-{number}" for number in range(30)],
            "people": [{"name": f"a-{persona}", "persona": persona} for persona in Persona],
        },
        "pipelines": SEVERAL,
        "pipeline": {"predictions": True},
        "storage": {"predictions_days": 90},
        "packages": {"source": "pypi", "internal_names": ["acme", "acme-risk"]},
    },
    "people of an organization": {
        "studio": {
            "sign_in": "identity-center",
            "identity_center_groups": ["1a2b3c4d-5e6f-7a8b-9c0d-1e2f3a4b5c6d"],
            "people": [{"name": "ana", "user_name": "ana@example.com"}],
        },
    },
    "the smallest": {
        "network": {"endpoint_zones": 1, "interface_endpoints": ["sagemaker.api"]},
        "studio": {"domain": "none"},
    },
    "everything that can exist": {
        "storage": {"log_bucket": "arn:aws:s3:::logs"},
        "security": {"alert_topic": "arn:aws:sns:eu-west-1:111122223333:alerts"},
        "studio": {
            "domain": "d-abcdefgh1234",
            "user_profiles": ["ada"],
            "s3_endpoint": "vpce-0123456789abcdef0",
        },
    },
    "in an existing VPC": {"network": EXISTING, "pipelines": SEVERAL},
    "in an existing VPC, with endpoints of ours": {"network": EXISTING_WITH_OURS},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_templates_of_unusual_settings_are_clean(name: str, tmp_path: Path) -> None:
    settings = Settings.model_validate(VARIANTS[name] | {"modes": ["dev"]})
    texts = emit.render(settings)
    (tmp_path / DIST).mkdir()
    for function in FUNCTIONS:
        (tmp_path / DIST / f"{function}.zip").touch()
    emit.emit(texts, tmp_path)

    templates = [path for path in texts if emit.is_template(path)]
    assert lint(templates, tmp_path, deployable(settings)) == []
