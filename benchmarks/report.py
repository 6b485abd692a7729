"""What was measured, for people: a table in `docs/performance.md` and a plot beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

BEGIN: Final = "<!-- measured -->"
END: Final = "<!-- end of measured -->"

TARGETS: Final[Mapping[str, float]] = {
    "inbox cold, visible": 2.5,
    "inbox warm, visible": 0.9,
    "group page": 2.5,
    "thread page": 6.7,
    "group actor document": 0.2,
    "fan-out of 10": 1.6,
}
"""CPU seconds for 1,000 operations that must be reached at most, by the beginning of a figure's name. For pages: one
core over the wanted rate."""

WIDTH: Final = 720
LABELS: Final = 250
ROW: Final = 26
SCALE: Final = 5.0
"""CPU seconds for 1,000 at the right edge; longer bars are cut and marked."""


def target_of(name: str) -> float | None:
    """The target of the figure called `name`."""
    return next((most for start, most in TARGETS.items() if name.startswith(start)), None)


def table(result: Mapping[str, Any], command: str) -> str:
    """The figures as a Markdown table, with the command that made them."""
    floors = result["floors_cpu_s_per_1000"]
    rss, pss = result["idle_rss_pss_mb"]
    loaded_rss, loaded_pss = result["after_load_rss_pss_mb"]
    lines = [
        f"`{command}`",
        "",
        "| | per s | CPU s per 1,000 | × floor | p50, p99 ms | target, CPU s |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for figure in result["figures"]:
        ratio = f"{figure['ratio']} × {figure['floor']}" if figure["ratio"] else ""
        times = f"{figure['p50_ms']}, {figure['p99_ms']}" if figure["p99_ms"] else ""
        target = target_of(figure["name"])
        lines.append(
            f"| {figure['name']} | {figure['per_second']} | {figure['cpu_s_per_1000']} | {ratio}"
            f" | {times} | {f'≤ {target}' if target else ''} |"
        )
    floor_words = ", ".join(f"{name} {value}" for name, value in floors.items())
    lines += [
        "",
        f"Floors, CPU s per 1,000 in the same run: {floor_words}. Start to the first 200:"
        f" {result['start_seconds']} s. Memory idle: RSS {rss} MB, PSS {pss} MB; after the load:"
        f" RSS {loaded_rss} MB, PSS {loaded_pss} MB.",
    ]
    return "\n".join(lines)


def plot(figures: Sequence[Mapping[str, Any]]) -> str:
    """CPU seconds for 1,000 of each figure as bars, the target as a line across: SVG without a script or a font."""
    height = ROW * len(figures) + 40
    room = WIDTH - LABELS - 70
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
        ' font-family="sans-serif" font-size="13">',
        "<title>CPU seconds of the hub for 1,000 operations</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for number, figure in enumerate(figures):
        top = 10 + number * ROW
        value, target = float(figure["cpu_s_per_1000"]), target_of(figure["name"])
        width = round(min(value, SCALE) / SCALE * room, 1)
        parts.append(
            f'<text x="{LABELS - 8}" y="{top + 14}" text-anchor="end">{escape(figure["name"])}</text>'
            f'<rect x="{LABELS}" y="{top}" width="{width}" height="{ROW - 8}" fill="#1f6f8b"/>'
            f'<text x="{LABELS + width + 6}" y="{top + 14}">{value:g}{"+" if value > SCALE else ""}</text>'
        )
        if target is not None and target <= SCALE:
            at = round(LABELS + target / SCALE * room, 1)
            parts.append(
                f'<line x1="{at}" x2="{at}" y1="{top - 3}" y2="{top + ROW - 5}" stroke="#b3261e"'
                ' stroke-width="2"/>'
            )
    parts.append(
        f'<text x="{LABELS}" y="{height - 10}">CPU seconds for 1,000 operations; the line is the'
        " target</text></svg>"
    )
    return "\n".join(parts) + "\n"


def write(result: Mapping[str, Any], command: str, page: Path, picture: Path) -> None:
    """Put the table between the marks of `page` and the plot into `picture`. Raises ValueError without the marks."""
    text = page.read_text()
    if BEGIN not in text or END not in text:
        raise ValueError(f"{page} has no place for figures: {BEGIN} … {END}")
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_text(plot(result["figures"]))
    filled = f"{BEGIN}\n{table(result, command)}\n{END}"
    page.write_text(
        re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: filled, text, count=1, flags=re.S)
    )
