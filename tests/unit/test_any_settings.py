"""Any settings file is read or rejected in one line, and what is read becomes inert templates."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydantic import BaseModel

from generator import emit
from generator.cfn.yaml_text import from_yaml, to_yaml
from generator.resolved import resolve
from generator.settings import Mode, Settings, read
from generator.settings_section import SettingsError
from generator.stacks.root import build
from tests.fuzz import bounded

Names = tuple[str, ...]


def names_in(model: type[BaseModel], above: Names = ()) -> Iterator[Names]:
    """Every setting's dotted name, and those of the sections."""
    for name, field in model.model_fields.items():
        yield (*above, name)
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from names_in(kind, (*above, name))


KNOWN: Final = list(names_in(Settings))
HOSTILE: Final = (
    *(
        "</script><script>alert(1)</script>",
        '" onload="x',
        "${AWS::AccountId}",
        "{{resolve:ssm:x}}",
    ),
    *("$(touch /tmp/x)", "`id`", "'; rm -rf /", "\n- a: b", "=1+1", "\x1b[2J", "%s", "../../x"),
)
texts = some.text(max_size=20) | some.sampled_from(
    [*HOSTILE, "dev", "10.38.0.0/16", "sts", "ml.m5.large", "arn:aws:iam::aws:policy/X"]
)
atoms = (
    some.integers()
    | some.integers(-3, 4000)
    | some.floats()
    | some.booleans()
    | texts
    | some.dates()
    | some.datetimes()
    | some.times()
)
parts = some.sampled_from([names[-1] for names in KNOWN]) | texts
values = some.recursive(
    atoms,
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(parts, inner, max_size=4),
    max_leaves=6,
)
paths = (
    some.sampled_from([*KNOWN, ("tags", "team")]) | some.tuples(parts) | some.tuples(parts, parts)
)
documents = some.lists(some.tuples(paths, values), max_size=3).map(
    lambda lines: "\n".join(f"{_key(*names)} = {_toml(value)}" for names, value in lines)
)
files = (documents | some.text(max_size=40)).map(lambda text: text.encode("utf-8", "replace"))


def _key(*names: str) -> str:
    return ".".join(json.dumps(name, ensure_ascii=False) for name in names)


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_key(k)} = {_toml(v)}' for k, v in value.items())}}}"
    if isinstance(value, str | bool):
        return json.dumps(value, ensure_ascii=False)
    return value.isoformat() if isinstance(value, date | datetime | time) else repr(value)


def outcome(file: Path, content: bytes) -> Settings | str:
    """The settings in a file of this content, or the one line that rejects them."""
    file.write_bytes(content)
    try:
        return read(file)
    except SettingsError as error:
        message = str(error)
        assert message.startswith(f"{file}: ")
        assert message.removeprefix(str(file)).isprintable()
        assert len(message) < 800 + len(str(file))
        return message


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file for all examples."""
    return tmp_path_factory.mktemp("any") / "settings.toml"


@bounded(400)
@given(content=files | some.binary(max_size=40))
def test_any_file_is_read_or_rejected_in_one_line(file: Path, content: bytes) -> None:
    outcome(file, content)


MISTAKES: Final = {
    "brackets without end": (b"a = " + b"[" * 5000, "nested too deeply"),
    "tables in tables": (b"network.zones = " + b"{a=" * 3000 + b"1" + b"}" * 3000, "too deeply"),
    "a name of many parts": (b"project" + b".a" * 2000 + b" = 1", "project: got a value (dict)"),
    "a number of 5,000 digits": (b"network.zones = " + b"1" * 5000, "not valid TOML"),
    "5,000 digits, hexadecimal": (b"network.zones = 0x" + b"f" * 5000, "got a value (int)"),
    "a long text": (b"project = '" + b"a" * 100_000 + b"'", "project: got 'aaa"),
    "a name that clears the screen": (b'"\\u001b[2J" = 1', r"'\x1b[2J': unknown setting"),
    "a name of two lines": (b'storage."a\\u0085b" = 1', r"storage.'a\x85b': unknown setting"),
    "an ARN that IAM does not have": (
        "security.permissions_boundary = 'arn:aws:iam::aws:policy/Größe'".encode(),
        "must be empty or the ARN of a managed policy",
    ),
    "this network": (b"network.cidr = '0.0.0.0/16'", "must not overlap 0.0.0.0/8"),
    "loopback": (b"network.cidr = '127.0.0.0/16'", "must not overlap 127.0.0.0/8 (loopback)"),
    "link-local": (b"network.cidr = '169.254.169.0/24'", "must not overlap 169.254.0.0/16"),
    "Docker's range": (b"network.cidr = '172.17.8.0/21'", "must not overlap 172.17.0.0/16"),
    "multicast": (b"network.cidr = '239.0.0.0/16'", "must not overlap 224.0.0.0/4"),
}
"""What fuzzing found: each was a traceback, a message of many lines, or accepted."""


@pytest.mark.parametrize("name", MISTAKES)
def test_what_fuzzing_found_is_rejected_in_one_line(file: Path, name: str) -> None:
    content, said = MISTAKES[name]
    message = outcome(file, content)
    assert isinstance(message, str)
    assert said in message


_TAG_TEXT: Final = some.text(
    some.characters(categories=["Lu", "Ll", "Nd"]) | some.sampled_from(" .:/=+-@_"),
    min_size=1,
    max_size=20,
)
tags = some.dictionaries(
    _TAG_TEXT.map(lambda text: f"x{text}"),
    _TAG_TEXT | some.sampled_from(["", "yes", "null", "1e3", "0x1F", "12:30", "- a", "=1+1", "@x"]),
    max_size=3,
)
profiles = some.lists(
    some.from_regex(r"[a-zA-Z0-9](-?[a-zA-Z0-9]){0,8}", fullmatch=True), min_size=1, max_size=3
)


@bounded(12)
@given(tags=tags, names=profiles, mode=some.sampled_from(Mode))
def test_any_settings_that_are_read_become_the_templates_that_were_meant(
    file: Path, tags: dict[str, str], names: list[str], mode: Mode
) -> None:
    content = f"tags = {_toml(tags)}\nstudio.user_profiles = {_toml(names)}"
    settings = outcome(file, content.encode())
    if isinstance(settings, str):  # two tags or profiles that AWS takes for the same
        assert "same key" in settings or "must differ" in settings
        return
    assert (settings.tags, list(settings.studio.user_profiles)) == (tags, names)
    for name, template in build(settings, mode).items():
        meant = emit.as_dict(template)
        assert from_yaml(to_yaml(meant, name)) == meant


@bounded(20)
@given(label=texts)
def test_any_label_of_a_pipeline_reaches_its_runs_as_it_is_or_is_refused(
    file: Path, label: str
) -> None:
    table = {"name": "churn", "label": label}
    settings = outcome(file, f"pipelines = {_toml([{'name': 'main'}, table])}".encode())
    if isinstance(settings, str):
        assert "name of a column" in settings or "not valid TOML" in settings
        return
    pipeline = resolve(settings).get("ChurnPipeline", "Pipeline").properties
    assert pipeline["LabelColumn"] == label


@bounded(150)
@given(text=texts | some.text())
def test_any_text_is_read_back_from_a_template_as_it_was(text: str) -> None:
    template = {"Outputs": {"A": {"Value": text, "Description": {"Fn::Sub": text}}}}
    if all(character.isprintable() or character in "\t\n" for character in text):
        assert from_yaml(to_yaml(template, "header")) == template
