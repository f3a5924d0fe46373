"""HTML pages from Jinja2 templates: every text is escaped, and an unknown name is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def render(template: Path, filters: dict[str, Any], **values: Any) -> str:
    """Return the page that a template (``*.html.j2``) makes of these values.

    Templates find their neighbors by file name. ``filters`` are functions of one value.
    """
    templates = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters |= filters
    page: str = templates.get_template(template.name).render(values)
    return page
