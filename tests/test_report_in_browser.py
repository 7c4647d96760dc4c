"""The report's page in a real browser: it is laid out, nothing is cut off on a screen, no plot is empty, the console is quiet."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from PIL import Image

from tests.ledger.command import files, report
from tests.support.browser import look

# Measured by the page itself; only the test's copy has a script, and only for this.
_MEASURE = """<script>
const box = e => e.getBoundingClientRect();
const over = (a, b) => a.right > b.left && a.left < b.right && a.bottom > b.top + 2 && a.top + 2 < b.bottom;
const told = {
  width: document.documentElement.scrollWidth, window: innerWidth, height: document.documentElement.scrollHeight,
  wide: [...document.querySelectorAll(".scroll, .tile, .tile b")].filter(
    e => e.clientWidth && e.scrollWidth > e.clientWidth + 1).map(e => e.className || e.tagName),
  plots: [...document.querySelectorAll("svg")].map(e => [e.getAttribute("aria-label"), Math.round(box(e).width), Math.round(box(e).height),
    [...e.querySelectorAll("text")].filter(t => box(t).right > box(e).right + 1 || box(t).left < box(e).left - 1).length,
    [...e.querySelectorAll("text")].filter((t, i, all) => all.slice(i + 1).some(o => over(box(t), box(o)))).map(t => t.textContent)]),
  headings: [...document.querySelectorAll("h2")].map(e => e.textContent),
};
const out = document.createElement("pre"); out.id = "measured"; out.textContent = JSON.stringify(told); document.body.append(out);
</script></body>"""


def test_the_page_as_a_browser_shows_it(tmp_path: Path) -> None:
    """On a screen of 1200 pixels the page of the board's year fits its window, tables and plots are whole, no text of a plot lies on
    another, and Chromium complains about nothing."""
    page = tmp_path / "report.html"
    result = report(*files(), "--json", tmp_path / "before.json", "--out", page, period="2026")
    assert result.exit_code == 0, result.output
    result = report(*files(later=True), "--against", tmp_path / "before.json", "--out", page, period="2026")
    assert result.exit_code == 0, result.output

    shot = tmp_path / "report.png"
    seen = look(page, f"--screenshot={shot}", "--window-size=1200,900")
    assert shot.read_bytes().startswith(b"\x89PNG") and shot.stat().st_size > 50_000
    assert "CONSOLE" not in seen.stderr and "Refused to" not in seen.stderr

    told = measured(page, 1200)
    assert told["width"] <= told["window"] and told["height"] > 3000
    assert told["wide"] == []
    assert len(told["plots"]) == 8
    for label, width, height, cut, covered in told["plots"]:
        assert width > 400 and height > 60 and (cut, covered) == (0, []), label
    assert told["headings"] == [
        "What it cost and what it brought, EUR", "Whose work it was, EUR", "What it cost and what it brought, USD",
        "Whose work it was, USD", "The old quarrel", "From contact to deal", "What changed since the last report",
    ]  # fmt: skip


def test_plots_on_a_phone(tmp_path: Path) -> None:
    """On a phone's screen each plot is as wide as the text, down to the end of its widest bar: nothing is cut off or lies on another."""
    page = tmp_path / "report.html"
    assert report(*files(), "--out", page, period="2026").exit_code == 0
    told = measured(page, 500)  # Chromium's least; a phone shows the same, smaller
    assert told["window"] == told["width"] == 500 and len(told["plots"]) == 8
    for label, width, _, cut, covered in told["plots"]:
        assert (width, cut, covered) == (460, 0, []), label


def measured(page: Path, width: int) -> dict[str, Any]:
    """What the page is like in a window as wide as this."""
    copy = page.with_name("measured.html")
    text = page.read_text(encoding="utf-8").replace("default-src 'none';", "script-src 'unsafe-inline';")
    copy.write_text(text.replace("</body>", _MEASURE), encoding="utf-8")
    dom = look(copy, "--dump-dom", f"--window-size={width},900").stdout
    found = re.search(r'<pre id="measured">(.*?)</pre>', dom, re.DOTALL)
    assert found is not None, dom[-2000:]
    told: dict[str, Any] = json.loads(found[1].replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))
    return told


def test_a_table_that_goes_on_shows_it(tmp_path: Path) -> None:
    """On a narrow screen a table wider than its place has a shadow at the edge behind which it goes on; on a wide one none."""
    page = tmp_path / "report.html"
    assert report(*files(), "--out", page, period="2026").exit_code == 0
    place = '<script>const b = document.querySelector(".scroll").getBoundingClientRect();'
    place += 'document.body.append(Object.assign(document.createElement("pre"), {id: "measured", textContent:'
    place += " [b.left, b.right, b.top, b.bottom].map(Math.round).join()}))</script></body>"
    text = page.read_text(encoding="utf-8").replace("default-src 'none';", "script-src 'unsafe-inline';")
    text = text.replace(
        "<main>", "<style>main > :not(.scroll) { display: none } td, th { color: transparent !important }</style><main>"
    )
    page.write_text(text.replace("</body>", place), encoding="utf-8")
    shades = []
    for width in (500, 1200):
        window, shot = (f"--window-size={width},900", "--hide-scrollbars"), tmp_path / f"{width}.png"
        look(page, f"--screenshot={shot}", *window)
        found = re.search(r'<pre id="measured">([\d,-]+)</pre>', look(page, "--dump-dom", *window).stdout)
        assert found is not None
        left, right, top, bottom = map(int, found[1].split(","))
        assert 0 <= top < bottom < 900 and right < width
        with Image.open(shot) as image:
            lightness = image.convert("L")
            edge = [lightness.getpixel((x, y)) for x in (left + 1, right - 2) for y in (top + 8,)]
        shades.append(edge)
    narrow, wide = shades
    assert narrow[0] == wide[0] == 255, "nothing is hidden on the left"
    assert narrow[1] < 230 and wide[1] >= 248
