"""The pages' templates, escaped by default; a name that is not given is an error."""

from __future__ import annotations

import jinja2

from streams.report import words

templates = jinja2.Environment(
    loader=jinja2.PackageLoader("streams.report", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)  # fmt: skip
templates.filters |= {"name": words.of, "month": words.month, "ratio": words.ratio}
