"""Settings files: TOML, each of which can build on another.

A file with ``extends = "base.toml"`` says only what differs from the other file. Tables are merged
key by key; any other value, a list included, replaces the one below.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from generator.settings_section import SettingsError

EXTENDS: Final = "extends"


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises:
        SettingsError: the file is missing or not TOML.

    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # also text that is not UTF-8, and numbers of 4,300 digits
        raise SettingsError(f"{path}: not valid TOML: {error}") from error
    except RecursionError as error:
        raise SettingsError(f"{path}: not valid TOML: the values are nested too deeply") from error


def read_extended(path: Path) -> tuple[dict[str, Any], str]:
    """Return the settings of a file over those that it extends, and the files' names for messages.

    Raises:
        SettingsError: one of the files cannot be read, or one extends itself.

    """
    return extended(read_toml(path), path, str(path))


def extended(raw: Mapping[str, Any], path: Path, name: str) -> tuple[dict[str, Any], str]:
    """Return settings over those that they extend, and the files' names for messages.

    Args:
        raw: the settings, with or without ``extends``.
        path: the file that has them; what they extend is relative to it.
        name: what messages call it.

    Raises:
        SettingsError: one of the files cannot be read, or one extends itself.

    """
    chain, names = [dict(raw)], [name]
    seen, place = {path.resolve()}, path
    while EXTENDS in chain[-1]:
        given = chain[-1].pop(EXTENDS)
        if not isinstance(given, str) or not given:
            raise SettingsError(
                f"{names[-1]}: {EXTENDS}: got {given!r}: must be the path of a settings file"
            )
        place = place.parent / given
        if place.resolve() in seen:
            raise SettingsError(f"{names[-1]}: {EXTENDS}: got {given!r}: it extends itself")
        seen.add(place.resolve())
        chain.append(read_toml(place))
        names.append(str(place))
    whole: dict[str, Any] = {}
    for one in reversed(chain):
        whole = merged(whole, one)
    return whole, " over ".join(names)


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables as one; a value of ``above`` replaces the one below."""
    both = {
        key: merged(below[key], value)
        for key, value in above.items()
        if isinstance(value, dict) and isinstance(below.get(key), dict)
    }
    return {**below, **above, **both}
