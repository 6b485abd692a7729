"""What was measured, for people: tables in `docs/performance.md`, plots beside it, and the figures as JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Final

BEGIN: Final = "<!-- measured -->"
END: Final = "<!-- end of measured -->"

Result = Mapping[str, Any]
"""`sections`: by name, each with its `command`, `figures` and `facts`."""

Values = tuple[list[float], str]
"""What a target is compared with: the figures, and how they are written."""


@dataclass(frozen=True, slots=True)
class Target:
    """A line of what must be reached. `find` gives the value of a section, or None; `most` or `least` is the limit."""

    name: str
    wanted: str
    find: Callable[[Result], float | None]
    most: float | None = None
    least: float | None = None

    def verdict(self, value: float) -> str:
        """*yes* or *no*."""
        good = (self.most is None or value <= self.most) and (
            self.least is None or value >= self.least
        )
        return "yes" if good else "no"


def _figure(section: Result, start: str, key: str) -> float | None:
    """A value of the first figure whose name begins so."""
    for figure in section["figures"]:
        if figure["name"].startswith(start) and figure.get(key) is not None:
            return float(figure[key])
    return None


def _cpu(start: str) -> Callable[[Result], float | None]:
    return lambda section: _figure(section, start, "cpu_s_per_1000")


def _rate(start: str) -> Callable[[Result], float | None]:
    return lambda section: _figure(section, start, "per_second")


def _spread(start: str) -> Callable[[Result], float | None]:
    def find(section: Result) -> float | None:
        p50, p99 = _figure(section, start, "p50_ms"), _figure(section, start, "p99_ms")
        return round(p99 / p50, 1) if p50 and p99 else None

    return find


def _above_signing(section: Result) -> float | None:
    sent = _figure(section, "fan-out of 10 topics", "cpu_s_per_1000")
    floor = section["facts"].get("floors_cpu_s_per_1000", {}).get("RSA sign")
    return round(sent - floor, 3) if sent is not None and floor is not None else None


def _sick(section: Result) -> float | None:
    return _figure(section, "the same with", "ratio")


def _fact(name: str, position: int | None = None) -> Callable[[Result], float | None]:
    def find(section: Result) -> float | None:
        value = section["facts"].get(name)
        if value is None:
            return None
        return float(value if position is None else value[position])

    return find


TARGETS: Final = (
    Target("inbox warm: visible, CPU s per 1,000", "≤ 0.9", _cpu("inbox warm, visible"), 0.9),
    Target("inbox warm: visible per s", "≥ 1,000", _rate("inbox warm, visible"), least=1000),
    Target("inbox cold: visible, CPU s per 1,000", "≤ 2.5", _cpu("inbox cold, visible"), 2.5),
    Target("delivery: CPU s per 1,000", "≤ 1.6", _cpu("fan-out of 10 topics"), 1.6),
    Target("delivery: above signing alone, CPU s per 1,000", "≤ 0.6", _above_signing, 0.6),
    Target("sick hosts: time of the healthy ones", "≤ 1.1 ×", _sick, 1.1),
    Target("group page per s", "≥ 400", _rate("group page"), least=400),
    Target("thread page (200 replies) per s", "≥ 150", _rate("thread page"), least=150),
    Target("actor document per s", "≥ 5,000", _rate("actor document"), least=5000),
    Target("group page: p99 by p50", "≤ 5", _spread("group page"), 5),
    Target("thread page: p99 by p50", "≤ 5", _spread("thread page"), 5),
    Target("actor document: p99 by p50", "≤ 5", _spread("actor document"), 5),
    Target("idle memory, RSS MB", "≤ 70", _fact("idle_rss_pss_mb", 0), 70),
    Target("cold start to the first 200, s", "≤ 1.0", _fact("start_seconds"), 1.0),
)

GROWTH_TARGET: Final = 1.3

LIMITS: Final[Mapping[str, float]] = {
    "inbox cold, visible": 2.5,
    "inbox warm, visible": 0.9,
    "group page": 2.5,
    "thread page": 6.7,
    "actor document": 0.2,
    "fan-out of 10 topics": 1.6,
}
"""CPU seconds for 1,000 operations that must be reached at most, by a figure's name or its beginning with a space. For
pages: one core over the wanted rate. They are the lines in the plots."""


def limit_of(name: str) -> float | None:
    """The limit of the figure called `name`."""
    return next(
        (most for start, most in LIMITS.items() if name == start or name.startswith(f"{start} ")),
        None,
    )


# --- Tables ---


def document(result: Result) -> str:
    """Everything between the marks, as Markdown."""
    sections: Mapping[str, Result] = result["sections"]
    parts = []
    wanted = targets(sections)
    if wanted:
        parts.append(f"### What must be reached\n\n{wanted}")
    beside = {name: one for name, one in sections.items() if one.get("kind") == "beside"}
    for name, section in sections.items():
        if name not in beside:
            parts.append(_section(name, section))
    if beside:
        parts.append(_beside(beside))
    return "\n\n".join(parts)


def targets(sections: Mapping[str, Result]) -> str:
    """The targets with what each engine reached; empty without a section that has any."""
    shown = {name: section for name, section in sections.items() if section.get("kind") == "hub"}
    if not shown:
        return ""
    lines = [
        "| | target | " + " | ".join(shown) + " |",
        "| --- | --- |" + " --- |" * len(shown),
    ]
    for target in TARGETS:
        cells = []
        for section in shown.values():
            value = target.find(section)
            cells.append(
                f"{value:g}: {target.verdict(value)}" if value is not None else "not measured"
            )
        lines.append(f"| {target.name} | {target.wanted} | " + " | ".join(cells) + " |")
    for name, section in sections.items():
        if section.get("kind") != "growth":
            continue
        found = [figure for figure in section["figures"] if figure["ratio"] is not None]
        if found:
            worst = max(found, key=lambda figure: figure["ratio"])
            most = sum(figure["ratio"] <= GROWTH_TARGET for figure in found)
            lines.append(
                f"| {name}: CPU per operation, the worst | ≤ {GROWTH_TARGET} × |"
                f" {worst['ratio']:g} × ({worst['name']}); {most} of {len(found)} within |"
                + " |"
                * (len(shown) - 1)
            )
    return "\n".join(lines)


def _beside(sections: Mapping[str, Result]) -> str:
    """The servers that got the same load, in one table; the ratio of each is in its own section's figures."""
    first = next(iter(sections.values()))
    lines = [
        "| | " + " | ".join(sections) + " |",
        "| --- |" + " --- |" * len(sections),
    ]
    for number, figure in enumerate(first["figures"]):
        cells = []
        for section in sections.values():
            one = section["figures"][number]
            database = one.get("database_cpu_s_per_1000")
            used = f"{one['cpu_s_per_1000']:g}" + (
                f" + {database:g}" if database is not None else ""
            )
            ratio = f"; {one['ratio']:g} × the hub" if one["floor"] == "the hub" else ""
            cells.append(f"{one['per_second']:,g}; {used}{ratio}")
        lines.append(f"| {figure['name']} | " + " | ".join(cells) + " |")
    for name, key, position in (
        ("idle memory, RSS MB", "idle_rss_pss_mb", 0),
        ("start to the first 200, s", "start_seconds", None),
    ):
        found = [_fact(key, position)(section) for section in sections.values()]
        shown = [f"{value:g}" if value is not None else "" for value in found]
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    said = [str(section["said"]) for section in sections.values() if section.get("said")]
    head = ["### Side by side", "", f"`{first['command']}`", ""]
    text = "Per second; CPU seconds for 1,000, and PostgreSQL's where it is one."
    return "\n".join([*head, text, "", *lines, "", *said])


def _grown_table(figures: Sequence[Mapping[str, Any]]) -> str:
    """Operations by the number of objects: CPU seconds for 1,000 (with the database's), and against the first."""
    rows: dict[str, list[str]] = {}
    sizes: list[str] = []
    for figure in figures:
        name, _, size = figure["name"].partition("; ")
        if size not in sizes:
            sizes.append(size)
        used = figure["cpu_s_per_1000"] + (figure.get("database_cpu_s_per_1000") or 0)
        ratio = f" ({figure['ratio']:g} ×)" if figure["ratio"] is not None else ""
        rows.setdefault(name, []).append(f"{used:.3g}{ratio}")
    return "\n".join(
        [
            "| CPU s per 1,000 with | " + " | ".join(sizes) + " |",
            "| --- |" + " --- |" * len(sizes),
            *(f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows.items()),
        ]
    )


def _section(name: str, section: Result) -> str:
    is_growth = section.get("kind") == "growth"
    text = [
        f"### {name[0].upper()}{name[1:]}",
        "",
        f"`{section['command']}`",
        "",
        (_grown_table if is_growth else table)(section["figures"]),
    ]
    facts = words(section["facts"])
    if facts:
        text += ["", facts]
    for title, shares in section.get("profile", {}).items():
        text += [
            "",
            f"Where the time goes, {title} (share of the samples, by the innermost module of ours):",
            "",
            "| module | share |",
            "| --- | --- |",
            *(f"| {module} | {share:.0%} |" for module, share in shares),
        ]
    return "\n".join(text)


def table(figures: Sequence[Mapping[str, Any]]) -> str:
    """Figures as a Markdown table."""
    with_database = any(figure.get("database_cpu_s_per_1000") is not None for figure in figures)
    head = ["", "per s", "CPU s per 1,000", "ratio", "p50, p99 ms"]
    if with_database:
        head.insert(3, "PostgreSQL's CPU s")
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for figure in figures:
        ratio = f"{figure['ratio']:g} × {figure['floor']}" if figure["ratio"] is not None else ""
        times = (
            f"{figure['p50_ms']:g}, {figure['p99_ms']:g}" if figure["p99_ms"] is not None else ""
        )
        put_off = figure.get("put_off")
        cells = [
            figure["name"] + (f" ({put_off} times told to come again)" if put_off else ""),
            f"{figure['per_second']:,g}",
            f"{figure['cpu_s_per_1000']:g}",
            ratio,
            times,
        ]
        if with_database:
            database = figure.get("database_cpu_s_per_1000")
            cells.insert(3, f"{database:g}" if database is not None else "")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def words(facts: Mapping[str, Any]) -> str:
    """What is not a figure of the table, as a sentence each."""
    said = []
    if "start_seconds" in facts:
        said.append(f"Start to the first 200: {facts['start_seconds']} s.")
    if "first_page_seconds" in facts:
        said.append(
            f"Start to the first page: {facts['first_page_seconds']} s;"
            f" CPU until then {facts['start_cpu_seconds']} s."
        )
    memory = [
        f"{key.removesuffix('_rss_pss_mb').replace('_', ' ')} {value[0]} ({value[1]})"
        for key, value in facts.items()
        if key.endswith("_rss_pss_mb")
    ]
    if memory:
        said.append(f"Memory in MB, RSS (PSS): {', '.join(memory)}.")
    floors = facts.get("floors_cpu_s_per_1000")
    if floors:
        listed = ", ".join(f"{name} {value:g}" for name, value in floors.items())
        said.append(f"Floors of this run, CPU s per 1,000: {listed}.")
    if "load_average" in facts:
        before, after = facts["load_average"]
        said.append(f"The machine's load before and after: {before}, {after}.")
    return " ".join(said)


# --- Plots ---

WIDTH: Final = 760
LABELS: Final = 330
ROW: Final = 24
SCALE: Final = 5.0
"""CPU seconds for 1,000 at the right edge; longer bars are cut and marked."""


def plot(figures: Sequence[Mapping[str, Any]], title: str = "") -> str:
    """CPU seconds for 1,000 of each figure as bars, the target as a line across: SVG without a script or a font."""
    height = ROW * len(figures) + 40
    room = WIDTH - LABELS - 70
    title = title or "CPU seconds of the hub for 1,000 operations"
    parts = [*_opened(height, title)]
    for number, figure in enumerate(figures):
        top = 10 + number * ROW
        value, limit = float(figure["cpu_s_per_1000"]), limit_of(figure["name"])
        width = round(min(value, SCALE) / SCALE * room, 1)
        parts.append(
            f'<text x="{LABELS - 8}" y="{top + 13}" text-anchor="end">{escape(_short(figure["name"]))}</text>'
            f'<rect x="{LABELS}" y="{top}" width="{width}" height="{ROW - 8}" fill="#1f6f8b"/>'
            f'<text x="{LABELS + width + 6}" y="{top + 13}">{value:g}{"+" if value > SCALE else ""}</text>'
        )
        if limit is not None and limit <= SCALE:
            at = round(LABELS + limit / SCALE * room, 1)
            parts.append(
                f'<line x1="{at}" x2="{at}" y1="{top - 3}" y2="{top + ROW - 5}" stroke="#b3261e"'
                ' stroke-width="2"/>'
            )
    parts.append(
        f'<text x="{LABELS}" y="{height - 10}">{escape(title)}; the line is the target</text></svg>'
    )
    return "\n".join(parts) + "\n"


COLOURS: Final = (
    *("#1f6f8b", "#b3261e", "#5b7f2b", "#8b5a1f", "#5f4b8b"),
    *("#00796b", "#ad1457", "#37474f", "#c77800", "#2e5fa3"),
)
GROWN_HEIGHT: Final = 320
GROWN_ROOM: Final = 360
"""The width of the plot itself, the names stand beside it."""
STEPS: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0)
"""Ratios that the axis names; it is logarithmic."""


def grown(figures: Sequence[Mapping[str, Any]], title: str) -> str:
    """How the cost of each operation grows with the number of objects: a line each, against the smallest hub, and the
    limit of 1.3 across."""
    lines: dict[str, list[tuple[int, float]]] = {}
    for figure in figures:
        name, _, rest = figure["name"].partition("; ")
        size = int(rest.partition(" ")[0].replace(",", ""))
        lines.setdefault(name, []).append((size, float(figure["ratio"] or 1.0)))
    sizes = sorted({size for line in lines.values() for size, _ in line})
    ratios = [ratio for line in lines.values() for _, ratio in line]
    low, high = math.log(min(0.5, *ratios)), math.log(max(2.0, *ratios))
    left, bottom = 50, GROWN_HEIGHT - 40

    def x(size: int) -> float:
        return round(left + GROWN_ROOM * sizes.index(size) / max(1, len(sizes) - 1), 1)

    def y(ratio: float) -> float:
        return round(bottom - (bottom - 20) * (math.log(ratio) - low) / (high - low), 1)

    parts = [*_opened(GROWN_HEIGHT, title)]
    for size in sizes:
        parts.append(f'<text x="{x(size)}" y="{bottom + 18}" text-anchor="middle">{size:,}</text>')
    for ratio in STEPS:
        if low <= math.log(ratio) <= high:
            parts.append(
                f'<text x="{left - 8}" y="{y(ratio) + 4}" text-anchor="end">{ratio:g} ×</text>'
            )
    parts.append(
        f'<line x1="{left}" x2="{left + GROWN_ROOM}" y1="{y(GROWTH_TARGET)}" y2="{y(GROWTH_TARGET)}"'
        ' stroke="#b3261e" stroke-dasharray="5 4"/>'
        f'<text x="{left + GROWN_ROOM - 4}" y="{y(GROWTH_TARGET) - 4}" text-anchor="end"'
        f' fill="#b3261e">{GROWTH_TARGET} ×</text>'
        f'<path d="M{left} 20V{bottom}H{left + GROWN_ROOM}" fill="none" stroke="#333333"/>'
    )
    for number, (name, line) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(f"{x(size)},{y(ratio)}" for size, ratio in sorted(line))
        at = 30 + number * 20
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
            f'<rect x="{left + GROWN_ROOM + 30}" y="{at - 9}" width="12" height="10" fill="{colour}"/>'
            f'<text x="{left + GROWN_ROOM + 48}" y="{at}">{escape(_short(name))}</text>'
        )
    parts.append(f'<text x="{left}" y="{GROWN_HEIGHT - 6}">{escape(title)}</text></svg>')
    return "\n".join(parts) + "\n"


def _opened(height: int, title: str) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
        ' font-family="sans-serif" font-size="13">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]


def _short(name: str) -> str:
    return name if len(name) <= 46 else f"{name[:45]}…"


# --- Files ---


def merged(kept: Path, result: Result) -> dict[str, Any]:
    """This result over what was kept of earlier runs, so that parts can be measured at different times."""
    known: dict[str, Any] = {}
    if kept.exists():
        known = json.loads(kept.read_text()).get("sections", {})
    fresh = dict(result["sections"])
    order = [*known, *(name for name in fresh if name not in known)]
    return {"sections": {name: fresh.get(name, known.get(name)) for name in order}}


def write(result: Result, page: Path, pictures: Path) -> None:
    """Put the tables between the marks of `page` and the plots into the folder `pictures`, `performance….svg`. Raises
    ValueError without the marks."""
    text = page.read_text()
    if BEGIN not in text or END not in text:
        raise ValueError(f"{page} has no place for figures: {BEGIN} … {END}")
    pictures.mkdir(parents=True, exist_ok=True)
    shown = []
    for name, section in result["sections"].items():
        kind = section.get("kind")
        if kind not in ("hub", "growth") or not section["figures"]:
            continue
        if kind == "growth":
            drawn = grown(section["figures"], f"CPU for each operation, {name}, against the first")
        else:
            drawn = plot(section["figures"], f"CPU seconds for 1,000 operations, {name}")
        file = pictures / f"performance-{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')}.svg"
        file.write_text(drawn)
        shown.append(f"![{name}]({pictures.name}/{file.name})")
    filled = "\n\n".join([BEGIN, document(result), *shown, END])
    page.write_text(
        re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: filled, text, count=1, flags=re.S)
    )
