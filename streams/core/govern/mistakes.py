"""What is wrong in a policy file, with the line and the name that was probably meant.

msgspec tells the first mistake and its path. Here each section and each rule is read by itself, so that several mistakes are told at
once; the line is found by the path, and the nearest known name is suggested for an unknown one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct, inspect

from streams.core.govern.policy import CLOCK, LENGTH, NAME, WINDOW
from streams.core.govern.positions import Path, line_of

_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`$")
_WRONG = re.compile(r"Invalid (?:enum )?value '(?P<name>.*)'$")
PATTERNS = {
    LENGTH: 'a length of time such as "90m", "24h", "7d" or "2w"',
    WINDOW: 'a length of time such as "24h" or "7d", or a calendar "day", "week" or "month"',
    CLOCK: 'a local time such as "08:00"',
    NAME: "a name of lower-case letters, digits, hyphens and underscores",
}
_PART = re.compile(r"\.([A-Za-z0-9_-]+)|\[(\d+|\.\.\.)\]")


class Problem(Struct, frozen=True):
    """One mistake. `where` is the path in words people know, `path` the same for `positions.line_of`."""

    where: str
    path: Path
    what: str

    def text(self, name: str, lines: Mapping[Path, int]) -> str:
        """`policy.toml:12: quiet.from: Expected ...`"""
        line = line_of(dict(lines), self.path)
        return f"{name}{f':{line}' if line else ''}: {self.where}: {self.what}"


def problems(values: Mapping[str, Any], wanted: type[Struct]) -> list[Problem]:
    """The first mistake of each section of a table that does not convert."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(wanted)}
    found: list[Problem] = []
    for section, value in values.items():
        if section not in fields:
            what = f"Object contains unknown field `{section}`" + suggestion(section, fields)
            found.append(Problem("the top level", (section,), what))
        else:
            told = problem(value, fields[section].type, (section,))
            found += [narrowed(told, value, fields[section].type, (section,))] if told else []
    return found


def narrowed(found: Problem, value: Any, type_: Any, at: Path) -> Problem:
    """The same mistake, with the keys for which msgspec says `[...]`: each is tried alone."""
    path = found.path
    while "..." in path:
        k = path.index("...")
        inside = value
        for part in path[len(at) : k]:
            inside = inside[part]
        for key in inside:
            alone = _only(value, path[len(at) : k], key)
            if problem(alone, type_, at) is not None:
                value, path = alone, (*path[:k], key, *path[k + 1 :])
                break
        else:
            break
    return Problem(found.where, path, found.what)


def _only(value: Any, outer: Path, key: str) -> Any:
    if not outer:
        return {key: value[key]}
    return {**value, outer[0]: _only(value[outer[0]], outer[1:], key)}


def problem(value: Any, type_: Any, at: Path) -> Problem | None:
    """The first mistake of a value that should be of this type, or None."""
    try:
        msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `")
        key, _, where = where.rpartition("in `")
        inner = _parts(where.rstrip("`"))
        path: Path = (*at, *inner)
        what = _in_words(what)
        unknown, wrong = _UNKNOWN.match(what), _WRONG.match(what)
        if unknown:
            what += suggestion(unknown["name"], _names(type_, inner, value))
            return Problem(_words(path), (*path, unknown["name"]), what)
        if wrong:
            what += suggestion(wrong["name"], _choices(type_, inner, value, bool(key)), list_all=True)
            path = (*path, wrong["name"]) if key else path
            return Problem(_words(path[:-1] if key else path), path, what)
        return Problem(_words(path), path, what)
    return None


def _in_words(what: str) -> str:
    """What a regex means, for those of the policy's language."""
    means = PATTERNS.get(what.partition(" matching regex ")[2].strip("'"))
    return f"Expected {means}" if means else what


def suggestion(name: str, known: Iterable[str], *, list_all: bool = False) -> str:
    """`; did you mean ...?`, or what is allowed, or nothing."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"; did you mean `{near[0]}`?"
    return f"; allowed: {', '.join(names)}" if list_all and names else ""


def _parts(where: str) -> Path:
    return tuple(
        int(index) if index.isdigit() else (name or index) for name, index in _PART.findall(where.removeprefix("$"))
    )


def _words(path: Path) -> str:
    said = ""
    for part in path:
        said += f"[{part}]" if isinstance(part, int) or part == "..." else f".{part}"
    return said.lstrip(".") or "the top level"


def _names(type_: Any, path: Path, value: Any) -> list[str]:
    """Names of the fields of the struct that stands at the path."""
    found = _at(inspect.type_info(type_), path, value)
    return [field.encode_name for field in found.fields] if isinstance(found, inspect.StructType) else []


def _choices(type_: Any, path: Path, value: Any, key: bool) -> list[str]:
    """What may stand at the path, where only some values may."""
    last = path[-1] if path else None
    outer = _at(inspect.type_info(type_), path[:-1], value, union=True)
    if isinstance(outer, inspect.UnionType):
        return [
            str(each.tag) for each in outer.types if isinstance(each, inspect.StructType) and each.tag_field == last
        ]
    found = _at(inspect.type_info(type_), path, value)
    if key and isinstance(found, inspect.DictType):
        found = found.key_type
    return [str(one) for one in found.values] if isinstance(found, inspect.LiteralType) else []


def _at(type_: inspect.Type, path: Path, value: Any, *, union: bool = False) -> inspect.Type:
    """The type at a path. Of several kinds of struct, the one whose tag the value has."""
    while isinstance(type_, inspect.Metadata):
        type_ = type_.type
    if isinstance(type_, inspect.UnionType) and not (union and not path):
        chosen = [
            each
            for each in type_.types
            if isinstance(each, inspect.StructType)
            and isinstance(value, dict)
            and value.get(each.tag_field or "") == each.tag
        ]
        type_ = chosen[0] if chosen else type_
    if not path:
        return type_
    inside = value[path[0]] if _has(value, path[0]) else None
    if isinstance(type_, inspect.StructType):
        for field in type_.fields:
            if field.encode_name == path[0]:
                return _at(field.type, path[1:], inside, union=union)
    if isinstance(type_, inspect.VarTupleType | inspect.ListType):
        return _at(type_.item_type, path[1:], inside, union=union)
    if isinstance(type_, inspect.DictType):
        return _at(type_.value_type, path[1:], inside, union=union)
    return inspect.AnyType()


def _has(value: Any, key: str | int) -> bool:
    if isinstance(value, list | tuple):
        return isinstance(key, int) and key < len(value)
    return isinstance(value, dict) and key in value
