"""HTML pages from Jinja2 templates: every text is escaped, and an unknown name is an error."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape


def render(template: Path, filters: dict[str, Any], **values: Any) -> str:
    """Return the page that a template (``*.html.j2``) makes of these values.

    Templates find their neighbors by file name. ``filters`` are functions of one value;
    ``labeled`` is there for all.
    """
    templates = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters |= {"labeled": labeled, **filters}
    page: str = templates.get_template(template.name).render(values)
    return page


def labeled(rows: Markup, headings: Sequence[str]) -> Markup:
    """Name each cell of a table's rows after its column: on a phone, each row becomes a card."""

    def named(row: str) -> str:
        names = iter(headings)
        return re.sub(
            "<t[dh](?= |>)",
            lambda cell: f'{cell[0]} data-label="{escape(next(names, "").lstrip("*"))}"',
            row,
        )

    return Markup("<tr").join(Markup(named(row)) for row in rows.split("<tr"))  # noqa: S704 - escaped
