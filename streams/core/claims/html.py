"""The visible text of a web page, one block a line.

Parsed by selectolax (lexbor, the HTML standard's tree construction), because what ends a paragraph, a cell or a hidden part is
decided by the tree that browsers build, also for pages with missing end tags. The tree is only read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from streams.core.claims.text import words

_MARKUP = re.compile(r"<(?:!doctype|!--|/?[a-z][a-z0-9]*(?:\s[^<>]*)?/?>)", re.IGNORECASE)
# Struck-out text is shown as no longer true: "<s>$99</s> $79".
_UNSEEN = words("head title script style noscript template iframe object svg canvas select datalist s del strike")
_UNSEEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|line-through", re.IGNORECASE)
_BLOCKS = words(
    """
    address article aside blockquote body button caption dd details div dl dt fieldset figcaption figure footer form h1 h2 h3 h4
    h5 h6 header hr label legend li main nav ol p pre section summary table td th tr ul br
    """
)
_HEADINGS = {f"h{n}": "#" * n + " " for n in range(1, 7)}


def is_html(text: str) -> bool:
    """Whether a text is markup rather than prose; "a < b" is prose."""
    return _MARKUP.search(text) is not None


def visible_lines(page: str) -> list[str]:
    """What a reader sees of an HTML page, as lines; a heading of level n begins with n times "#".

    Left out: scripts, styles, templates, comments, what is hidden by attribute or inline style, and struck-out text. A cell
    under a header row reads "row: column: cell", so that a price stays with its plan.
    """
    root = LexborHTMLParser(page).root
    return [] if root is None else _lines(root)


def _lines(root: LexborNode) -> list[str]:
    parts: list[str] = []
    for node, opens in _walk(root):
        tag = node.tag or ""
        if tag == "-text":
            parts.append(re.sub(r"[\r\n]+", " ", node.text_content or ""))
        elif tag == "table":
            parts.append("\n" + "\n".join(_rows(node)) + "\n")
        elif tag in _BLOCKS:
            parts.append("\n" + _HEADINGS.get(tag, "") if opens else "\n")
    lines = (" ".join(piece.split()) for piece in "".join(parts).split("\n"))
    return [line for line in lines if line.strip("# ")]


def _walk(root: LexborNode) -> Iterator[tuple[LexborNode, bool]]:
    """Seen nodes below `root` with True, and once more with False where an element ends. A table comes whole, once."""
    stack: list[tuple[LexborNode, bool]] = [(child, True) for child in reversed(list(_children(root)))]
    while stack:
        node, opens = stack.pop()
        if opens and not node.is_text_node and (not node.is_element_node or _unseen(node)):
            continue
        yield node, opens
        if opens and node.is_element_node and node.tag != "table":
            stack.append((node, False))
            stack += [(child, True) for child in reversed(list(_children(node)))]


def _children(node: LexborNode) -> Iterator[LexborNode]:
    child = node.first_child
    while child is not None:
        yield child
        child = child.next


def _unseen(node: LexborNode) -> bool:
    attributes = node.attributes
    if node.tag in _UNSEEN or "hidden" in attributes or (node.tag == "dialog" and "open" not in attributes):
        return True
    return _UNSEEN_STYLE.search(attributes.get("style") or "") is not None


def _rows(table: LexborNode) -> list[str]:
    """A table's cells as lines. Without a header row a row is one line, its cells joined by " - "."""
    rows: list[list[LexborNode]] = []
    inside = _walk(table)
    for node, opens in inside:
        if opens and node.tag == "tr":
            rows.append([cell for cell in _children(node) if cell.tag in ("td", "th") and not _unseen(cell)])
        elif opens and node.tag == "caption":
            rows.append([node])
    cells = [[" ".join(_lines(cell)).replace("# ", "").replace("#", "") for cell in row] for row in rows if row]
    if not cells:
        return []
    first = next(row for row in rows if row)
    if not (len(first) > 1 and all(cell.tag == "th" for cell in first)):
        return [" - ".join(filter(None, row)) for row in cells]
    header, found = cells[0], [" - ".join(filter(None, cells[0]))]
    for row in cells[1:]:
        label = row[0]
        found.append(label)
        for column, cell in zip(header[1:], row[1:], strict=False):
            found.append(": ".join(part for part in (label, column, cell) if part))
    return found
