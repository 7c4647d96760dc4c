"""The policy's language as JSON Schema, for editors that complete and check TOML (Taplo, Even Better TOML, PyCharm)."""

from __future__ import annotations

from typing import Any

import msgspec

from streams.core.govern.defaults import RULES
from streams.core.policy import Policy


def policy_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a policy file. A rule without a kind changes a shipped one, so only its name is asked for."""
    schema = msgspec.json.schema(Policy)
    definitions = schema["$defs"]
    rules = definitions["Policy"]["properties"]["rules"]
    del rules["default"]
    rules["items"] = {"anyOf": [*rules["items"]["anyOf"], _changed()]}
    for definition in definitions.values():
        definition.setdefault("required", [])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "touchstream policy", **schema}


def _changed() -> dict[str, Any]:
    return {
        "title": "A shipped rule, changed",
        "type": "object",
        "properties": {"name": {"enum": [rule.name for rule in RULES]}, "kind": False},
        "required": ["name"],
    }
