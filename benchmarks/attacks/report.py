"""The reports of attacks and soak as Markdown tables, and the soak as a picture."""

from pathlib import Path
from typing import Any

from benchmarks.attacks.kinds import Bounds

# What a table shows of each bound: a heading, the bound's name in the report, how it is written.
COLUMNS = (
    ("health p99, ms", "health p99, ms"),
    ("light search p99, ms", "light search p99, ms"),
    ("calls failed", "honest calls that failed, part"),
    ("new connections failed", "honest new connections that failed, part"),
)


def judged(facts: dict[str, Any], bounds: Bounds) -> dict[str, dict[str, Any]]:
    """For each measure: what was found (None where nothing was answered), and the most that was allowed (None: any)."""
    memory, during = facts["memory_mb"], facts["calls"]["during"]
    usual = [each for what, each in during.items() if what != "new connection"]
    judgements: dict[str, tuple[float | None, float | None]] = {
        "memory at the peak, MB above before": (memory["peak"] - memory["before"], bounds.memory_mb),
        "memory afterwards, part above before": (
            round(max(0.0, memory["after"] / memory["before"] - 1), 2) if memory["before"] else None,
            bounds.stays,
        ),
        "health p99, ms": (during["health"]["p99_ms"], bounds.health_p99_ms),
        "light search p99, ms": (during["search"]["p99_ms"], bounds.search_p99_ms),
        "honest calls that failed, part": (failed_part(usual), bounds.failures),
        "honest new connections that failed, part": (failed_part([during["new connection"]]), bounds.new_connections),
    }
    return {what: {"found": found, "most": most} for what, (found, most) in judgements.items()}


def held(judgement: dict[str, Any]) -> bool:
    """Whether a bound held. Where nothing was answered, it did not."""
    found, most = judgement["found"], judgement["most"]
    return most is None or (found is not None and found <= most)


def broken(judgements: dict[str, dict[str, Any]]) -> list[str]:
    return [f"{what}: {each['found']} (at most {each['most']})" for what, each in judgements.items() if not held(each)]


def failed_part(each: list[dict[str, Any]]) -> float | None:
    failed = sum(sum(one["failed"].values()) for one in each)
    total = failed + sum(one["answered"] for one in each)
    return round(failed / total, 4) if total else None


def one_line(found: dict[str, Any]) -> str:
    """What one attack did, for the console."""
    memory = found["memory_mb"]
    told = [f"memory {memory['before']} → {memory['peak']} → {memory['after']} MB"]
    told += [
        f"{what} p99 {' → '.join(str(calls[what]['p99_ms']) for calls in found['calls'].values())} ms"
        for what in ("health", "search")
    ]
    told += [f"attackers got {found['attackers']['got']}", f"bounds: {'; '.join(broken(found['bounds'])) or 'held'}"]
    return "\n".join(["  " + ", ".join(told), *(f"  FAULT {fault}" for fault in found["faults"])])


def attack_table(report: dict[str, Any]) -> list[str]:
    """A line for each attack: what was found during it / what is allowed. What did not hold is bold."""
    headings = ("attack", "memory before → peak → after, MB", "health p99 before, ms", *(each for each, _ in COLUMNS))
    lines = [f"| {' | '.join(headings)} | faults |", "|---" * (len(headings) + 1) + "|"]
    for name, found in report.get("attacks", {}).items():
        memory, bounds = found["memory_mb"], found["bounds"]
        well = all(held(each) for what, each in bounds.items() if what.startswith("memory"))
        sizes = f"{memory['before']} → {memory['peak']} → {memory['after']}"
        usual = str(found["calls"]["before"]["health"]["p99_ms"])
        cells = [_bold(sizes, well), usual, *(_cell(bounds[what]) for _, what in COLUMNS), str(len(found["faults"]))]
        lines.append(f"| `{name}`: {found['does']} | " + " | ".join(cells) + " |")
    return lines


def bare_table(found: list[dict[str, float]]) -> list[str]:
    """A line for each size of message that a server of gRPC alone was sent."""
    lines = ["| messages, MB | taken a second | health p50, ms | health p99, ms |", "|---|---|---|---|"]
    for each in found:
        cells = (each["message_mb"], each["messages_per_s"], each["health_p50_ms"], each["health_p99_ms"])
        lines.append("| " + " | ".join(f"{cell:g}" for cell in cells) + " |")
    return lines


def soak_table(soak: dict[str, Any]) -> list[str]:
    """A line for each part of the soak, and what was counted in all."""
    summary = (
        f"{soak['seconds'] / 60:.0f} minutes, {soak['attacks']} attacks, {soak['kills']} kills, "
        f"{soak['bundle switches']} bundle switches; faults: {len(soak['faults'])}"
    )
    lines = [
        summary,
        "",
        "| part | honest calls answered | failed | health p99, ms | items compared | lost | memory by bundle, MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for number, part in enumerate(soak["parts"]):
        calls = part["calls"].values()
        compared = part["compared"].values()
        memory = " / ".join("–" if each is None else f"{each:.0f}" for each in part["memory_mb"].values())
        cells = (
            f"{sum(each['answered'] for each in calls):,}",
            f"{sum(sum(each['failed'].values()) for each in calls):,}",
            str(part["calls"]["health"]["p99_ms"]),
            f"{sum(each.get('acknowledged and verified', 0) for each in compared):,}",
            str(sum(each.get("lost", 0) for each in compared)),
            memory,
        )
        lines.append(f"| {number + 1} | " + " | ".join(cells) + " |")
    lines += ["", *(f"{what}: {number:,}" for what, number in sorted(soak["answers"].items()))]
    return lines


def draw_soak(soak: dict[str, Any], path: Path) -> None:
    """Memory and p99 of health over the soak, with attacks, kills and bundle switches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6), layout="constrained")
    memory, health = figure.subplots(2, 1, sharex=True)
    marks = soak["marks"]
    for number, (begin, end, name) in enumerate(_attacks(marks)):
        for axes in (memory, health):
            axes.axvspan(begin / 60, end / 60, color="C7", alpha=0.25 if number % 2 else 0.12, linewidth=0)
        memory.text(
            (begin + end) / 120, 0.98, name, rotation=90, va="top", ha="center", fontsize=5, color="0.35",
            transform=memory.get_xaxis_transform(),
        )  # fmt: skip
    for what, colour, label in (("kill", "C3", "kill"), ("bundle", "C0", "bundle switch"), ("ended", "k", "ended")):
        for place, mark in enumerate(mark for mark in marks if mark["what"] == what and mark["s"] > 0):
            for axes in (memory, health):
                axes.axvline(mark["s"] / 60, color=colour, linewidth=0.9, label=label if place == 0 else None)
    series = soak["series"]
    memory.plot([s / 60 for s, _ in series["memory_mb"]], [mb for _, mb in series["memory_mb"]], color="C2")
    memory.set_ylabel("memory of the server, MB")
    memory.set_ylim(bottom=0)
    health.plot([s / 60 for s, _ in series["health_p99_ms"]], [ms for _, ms in series["health_p99_ms"]], color="C1")
    health.set_yscale("log")
    health.set_ylim(bottom=1)
    health.set_ylabel("health check, p99 of 10 s, ms")
    health.set_xlabel("minutes; grey: attacks")
    health.legend(loc="lower right")
    figure.savefig(path, dpi=130)


def _attacks(marks: list[dict[str, Any]]) -> list[tuple[float, float, str]]:
    begun = [(mark["s"], mark["name"]) for mark in marks if mark["what"] == "attack"]
    ended = [mark["s"] for mark in marks if mark["what"] == "attack ended"]
    return [(begin, end, name) for (begin, name), end in zip(begun, ended, strict=False)]


def _cell(judgement: dict[str, Any]) -> str:
    found, most = judgement["found"], judgement["most"]
    text = "none answered" if found is None else f"{found:g}"
    return _bold(text if most is None else f"{text} / {most:g}", held(judgement))


def _bold(text: str, well: bool) -> str:
    return text if well else f"**{text}**"
