"""The audit for people (Markdown) and for programs (JSON)."""

from collections.abc import Mapping
from typing import Any

from flywheel.components.intake.privacy_audit.audit import Audit, TypeCount
from flywheel.components.intake.privacy_audit.gate import DEFAULT_LEAST, NOT_GATED, chance_of_failure, failing

_GOOD = 0.99  # recall for which the chance of a wrong stop is shown


def document(audit: Audit, least: Mapping[str, float] = DEFAULT_LEAST) -> dict[str, Any]:
    """Return the audit as `flywheel.privacy-audit/v1`."""
    stopped = failing(audit, least)
    return {
        "schema": "flywheel.privacy-audit/v1",
        "seed": audit.seed,
        "rows": audit.rows,
        "outcome": "leaks" if stopped else "passed" if audit.rows else "nothing to audit",
        "types": {kind: _numbers(one) | {"needed": least.get(kind)} for kind, one in audit.types.items()},
        "places": {place: _numbers(one) for place, one in sorted(audit.places.items())},
        "over_scrubbing": {kind: _numbers(one) for kind, one in audit.controls.items()},
        "failing": stopped,
    }


def _numbers(one: TypeCount) -> dict[str, Any]:
    return {
        "counted": one.counted,
        "replaced": one.replaced,
        "lost": one.lost,
        "share": round(one.share, 4),
        "lower": round(one.low, 4),
        "upper": round(one.high, 4),
        "leaking": dict(one.leaking.most_common()),
    }


def _verdict(audit: Audit, stopped: Mapping[str, str]) -> str:
    if not audit.rows:
        return "Nothing to audit: no row could take made-up data."
    return "Stopped: " + "; ".join(stopped) if stopped else "Every gated type passes."


def markdown(audit: Audit, least: Mapping[str, float] = DEFAULT_LEAST) -> str:
    """Write the audit for people."""
    stopped = failing(audit, least)
    lines = [
        "# Privacy audit",
        "",
        f"Made-up personal data was put into {audit.rows} of the given rows and went through the real intake into a "
        f"throw-away store (seed {audit.seed}). `at least` is a one-sided 95 % bound.",
        "",
        "**" + _verdict(audit, stopped) + "**",
        "",
        "| type | canaries | replaced | recall | at least | needed | stops wrongly at recall .99 | left readable in |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind, one in audit.types.items():
        needed = least.get(kind)
        gate = f"{needed:.2f}" if needed is not None else "not gated"
        wrong = f"{chance_of_failure(_GOOD, one.counted, needed):.3f}" if needed is not None and one.counted else "-"
        where = ", ".join(f"{locale} {n}" for locale, n in one.leaking.most_common(4)) or "-"
        mark = " **stops**" if kind in stopped else ""
        lines.append(
            f"| {kind}{mark} | {one.counted} | {one.replaced} | {one.share:.3f} | {one.low:.3f} "
            f"| {gate} | {wrong} | {where} |"
        )
    lines += ["", *(f"`{kind}`: {why}." for kind, why in NOT_GATED.items() if kind in audit.types), ""]
    lost = sum(one.lost for one in audit.types.values())
    if lost:
        lines += [f"{lost} canaries stood in rows or fields that intake keeps nothing of; they count neither way.", ""]
    over = audit.over_scrubbed
    lines += [
        f"Over-scrubbing: {over.replaced} of {over.counted} tokens that are no personal data were replaced "
        f"({over.share:.2%}, at most {over.high:.2%}).",
        "",
        "| no personal data | tokens | replaced | share | at most |",
        "|---|---|---|---|---|",
        *(
            f"| {kind} | {one.counted} | {one.replaced} | {one.share:.3f} | {one.high:.3f} |"
            for kind, one in audit.controls.items()
        ),
        "",
        "| place | canaries | replaced | recall |",
        "|---|---|---|---|",
        *(
            f"| {place} | {one.counted} | {one.replaced} | {one.share:.3f} |"
            for place, one in sorted(audit.places.items())
            if one.counted
        ),
    ]
    return "\n".join(lines) + "\n"
