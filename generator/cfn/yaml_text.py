"""CloudFormation templates as YAML that people can review.

Short forms (``!Ref``, ``!Sub``) where every parser takes them, one line for a function of short
arguments, a blank line between resources, keys in the order of the template's anatomy and then as
given. Nothing depends on hash order, so the text is the same wherever it is made.
"""

from __future__ import annotations

import re
from textwrap import indent
from typing import Any, Final

import yaml

from pipeline.types import JsonView

_SECTIONS: Final = (
    *("AWSTemplateFormatVersion", "Description", "Metadata", "Parameters", "Mappings"),
    *("Conditions", "Rules", "Transform", "Resources", "Outputs"),
)
"""CloudFormation user guide, "Template sections", with the parameters before what uses them."""
_SPACED: Final = frozenset({"Parameters", "Resources"})
_KEY_ORDER: Final = {"Type": 0, "Properties": 2}
"""What a parameter or resource is, and what becomes of it, is read before its properties."""
_SHORT_FORMS: Final = {
    "Ref": "!Ref",
    **{
        f"Fn::{name}": f"!{name}"
        for name in (
            *("And", "Base64", "Cidr", "Equals", "FindInMap", "GetAZs", "GetAtt", "If", "Join"),
            *("Not", "Or", "Select", "Split", "Sub"),
        )
    },
}
"""``!ToJsonString``, ``!Length`` and the functions of Rules are unknown to some parsers."""
_NUMBER_LIKE: Final = re.compile(r"[-+.\d][-+.,:_\deE]*")
"""Account ids such as 0891... are text to PyYAML and a number to parsers of YAML 1.2."""
_WIDTH: Final = 100
_ONE_LINE: Final = 76
"""Maximum length of a function's arguments on one line, in characters of JSON."""


def to_yaml(template: JsonView, header: str) -> str:
    """Return the template as YAML text, below ``header`` as a comment.

    ``template`` holds dicts, lists, strings, numbers and booleans only.
    """
    known = [name for name in _SECTIONS if name in template]
    others = [name for name in template if name not in _SECTIONS]
    sections = [_section(name, template[name]) for name in [*known, *others]]
    return "\n".join([indent(header, "# ") + "\n", *sections])


def _section(name: str, body: Any) -> str:
    if name not in _SPACED:
        return _dump({name: body})
    entries = [_dump({title: _ordered(entry)}) for title, entry in body.items()]
    return f"{name}:\n" + "\n".join(indent(entry, "  ") for entry in entries)


def _ordered(entry: JsonView) -> dict[str, Any]:
    return dict(sorted(entry.items(), key=lambda item: _KEY_ORDER.get(item[0], 1)))


def _dump(value: JsonView) -> str:
    text: str = yaml.dump(
        value,
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=False,
        width=_WIDTH,
        allow_unicode=True,
    )
    return text


class _Dumper(yaml.CSafeDumper):
    """Writes what CloudFormation reads; libyaml makes it fast."""

    def ignore_aliases(self, _data: object) -> bool:
        """Write a value again where it is used again; CloudFormation takes no aliases."""
        return True


def _represent_mapping(dumper: _Dumper, value: dict[str, Any]) -> yaml.Node:
    if len(value) == 1:
        (name, argument) = next(iter(value.items()))
        if name in _SHORT_FORMS and not _is_function(argument):
            return _represent_function(dumper, name, argument)
    return dumper.represent_mapping("tag:yaml.org,2002:map", list(value.items()))


def _is_function(value: object) -> bool:
    """Tell whether the value has a tag itself: a YAML node cannot have two."""
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in _SHORT_FORMS


def _represent_function(dumper: _Dumper, name: str, argument: Any) -> yaml.Node:
    tag = _SHORT_FORMS[name]
    if name == "Fn::GetAtt" and all(isinstance(part, str) for part in argument):
        return dumper.represent_scalar(tag, ".".join(argument))
    if isinstance(argument, list):
        return dumper.represent_sequence(tag, argument, flow_style=_fits_on_one_line(argument))
    if isinstance(argument, dict):
        return dumper.represent_mapping(tag, list(argument.items()))
    return dumper.represent_scalar(tag, str(argument), style=_style(str(argument)))


def _fits_on_one_line(arguments: list[Any]) -> bool:
    return len(str(arguments)) <= _ONE_LINE and all(map(_is_flat, arguments))


def _is_flat(value: Any) -> bool:
    """Tell whether the value is a scalar, or functions of scalars."""
    if isinstance(value, list):
        return all(map(_is_flat, value))
    return not isinstance(value, dict) or (
        _is_function(value) and all(map(_is_flat, value.values()))
    )


def _represent_text(dumper: _Dumper, value: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=_style(value))


def _style(value: str) -> str | None:
    if "\n" in value:
        return "|"
    return "'" if not value or _NUMBER_LIKE.fullmatch(value) else None


_Dumper.add_representer(dict, _represent_mapping)
_Dumper.add_representer(str, _represent_text)


class _Loader(yaml.CSafeLoader):
    """Reads what ``to_yaml`` wrote."""


def from_yaml(text: str) -> dict[str, Any]:
    """Read a template that ``to_yaml`` wrote; short forms come back in long form."""
    loaded: dict[str, Any] = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
    return loaded


def _construct_function(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = "Ref" if suffix == "Ref" else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        return {name: value.split(".", 1) if suffix == "GetAtt" else value}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)  # noqa: S101 - YAML has no fourth kind
    return {name: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _construct_function)
