"""cfn-lint over templates: everything but the one exemption, across nested stacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from generator.lint import LintError, LintFinding, lint

CHILD = """
Parameters:
  Wanted:
    Type: String
Resources:
  Topic:
    Type: AWS::SNS::Topic
    Properties:
      DisplayName: !Ref Wanted
"""
ROOT = """
Resources:
  ChildStack:
    Type: AWS::CloudFormation::Stack
    DeletionPolicy: Delete
    UpdateReplacePolicy: Delete
    Properties:
      TemplateURL: ./child.yaml
      Parameters:
        {parameter}: x
"""
TABLE = """
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: a, AttributeType: S}]
      KeySchema: [{AttributeName: a, KeyType: HASH}]
"""


def rules(findings: list[LintFinding]) -> set[str]:
    return {finding.rule for finding in findings}


def save(folder: Path, **templates: str) -> list[str]:
    for name, text in templates.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return [f"{name}.yaml" for name in templates]


def test_a_relative_template_url_is_the_one_exemption(tmp_path: Path) -> None:
    paths = save(tmp_path, root=ROOT.format(parameter="Wanted"), child=CHILD)

    assert lint(paths, tmp_path) == []


def test_a_parameter_that_the_nested_stack_does_not_have_is_found(tmp_path: Path) -> None:
    paths = save(tmp_path, root=ROOT.format(parameter="Unwanted"), child=CHILD)

    assert rules(lint(paths, tmp_path)) == {"E3043"}


def test_an_output_that_the_nested_stack_does_not_have_is_found(tmp_path: Path) -> None:
    root = ROOT.format(parameter="Wanted") + (
        "Outputs:\n  X:\n    Value: !GetAtt ChildStack.Outputs.Nothing\n"
    )

    assert rules(lint(save(tmp_path, root=root, child=CHILD), tmp_path)) == {"E6101"}


def test_informational_rules_count(tmp_path: Path) -> None:
    assert rules(lint(save(tmp_path, table=TABLE), tmp_path)) == {"I3011"}


def test_a_resource_that_one_region_lacks_is_found(tmp_path: Path) -> None:
    space = (
        "Resources:\n  Space:\n    Type: AWS::SageMaker::Space\n"
        "    Properties: {DomainId: d-123456789012, SpaceName: x}\n"
    )

    (found,) = lint(save(tmp_path, space=space), tmp_path)

    assert (found.rule, "us-gov-west-1" in found.message) == ("E3006", True)


def test_a_finding_is_one_line_that_begins_with_the_place(tmp_path: Path) -> None:
    (tmp_path / "a folder").mkdir()
    wrong = "Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n    Properties:\n      Nmae: x\n"
    (tmp_path / "a folder/topic.yaml").write_text(wrong, encoding="utf-8")

    (found,) = lint(["a folder/topic.yaml"], tmp_path)

    assert str(found).startswith("a folder/topic.yaml:5: E3002 ")
    assert "Nmae" in str(found)
    assert "\n" not in str(found)


def test_findings_of_all_folders_are_in_order(tmp_path: Path) -> None:
    for folder in ("b", "a"):
        (tmp_path / folder).mkdir()
        save(tmp_path / folder, table=TABLE)

    found = lint(["b/table.yaml", "a/table.yaml"], tmp_path)

    assert [finding.path for finding in found] == ["a/table.yaml"] * 2 + ["b/table.yaml"] * 2


def test_a_template_that_is_no_yaml_is_a_finding(tmp_path: Path) -> None:
    assert rules(lint(save(tmp_path, broken="a: [\n"), tmp_path)) == {"E0000"}


def test_a_cfn_lint_that_does_not_start_is_an_error_of_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generator.lint._CFN_LINT", "import no_such_module")

    with pytest.raises(LintError) as caught:
        lint(save(tmp_path, child=CHILD), tmp_path)

    assert str(caught.value).startswith("cfn-lint ended with status 1: ModuleNotFoundError")
    assert "\n" not in str(caught.value)
