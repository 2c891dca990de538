"""The clusters as a Markdown page for people."""

from collections.abc import Mapping, Sequence
from typing import Any

_BARS = "▁▂▃▄▅▆▇█"
_EVERYTHING = 12  # clusters whose examples are shown


def render(details: Mapping[str, Any]) -> str:
    """Render what `summary.describe` made; user text is escaped.

    Args:
        details: Details of the step record of `cluster_feedback`.
    """
    failed, liked = details["clusters"], details["liked_clusters"]
    lines = ["# Clusters of feedback", ""]
    lines += [_headline(details), ""]
    lines += [f"> {_cell(note, 400)}\n" for note in details["notes"]]
    if failed:
        lines += ["## What went wrong", "", *_error_types(details), "", "### By topic", ""]
        lines += [*_failed(failed, details), ""]
        lines += _history(details, failed, details["merged"], details["gone"])
    else:
        lines += ["No failed interaction in this log.", ""]
    if liked:
        lines += ["## What users like", "", *_liked(liked), ""]
        lines += _history(details, liked, details["liked_merged"], details["liked_gone"])
    else:
        lines += ["No up-voted interaction in this log.", ""]
    lines += _how(details)
    return "\n".join(lines).rstrip() + "\n"


def _headline(details: Mapping[str, Any]) -> str:
    calls = [(one["trend"]["call"], one["name"]) for one in details["clusters"]]
    growing = [_cell(name) for call, name in calls if call == "growing"]
    said = f"{details['failures']} failed and {details['successes']} up-voted interactions"
    said += f", in {len(details['clusters'])} and {len(details['liked_clusters'])} clusters."
    if growing:
        said += f" **Growing: {'; '.join(growing)}.**"
    elif details["period_days"]:
        said += " No cluster is shown to grow."
    return said


def _error_types(details: Mapping[str, Any]) -> list[str]:
    lines = ["| error type | failures | share | 95 % interval, users as units |", "|---|---:|---:|---:|"]
    for name, one in details["error_type_shares"].items():
        limits = f"{one['lower']:.0%} to {one['upper']:.0%}"
        lines.append(f"| {_cell(name)} | {one['count']} | {one['share']:.0%} | {limits} |")
    return lines


def _failed(clusters: Sequence[Mapping[str, Any]], details: Mapping[str, Any]) -> list[str]:
    lines = [
        "| id | about | failures | share | mostly | failed of judged | trend | change | sure | training rows |",
        "|---|---|---:|---:|---|---:|---|---|---:|---:|",
    ]
    for one in clusters:
        rate = one["failure_share"]
        thin = f" **thin** (below {details['thin_below']})" if one["thin"] else ""
        lines.append(
            f"| {one['id']} | {_cell(one['name'])} | {one['count']} | {one['share']:.0%} | {one['category']} "
            f"| {rate['share']:.0%} ({rate['lower']:.0%} to {rate['upper']:.0%}) | {_trend(one['trend'])} "
            f"| {_change(one)} | {_sure(one)} | {one['accepted']}{thin} |"
        )
    return [*lines, "", "Questions nearest to the centre of each cluster:", "", *_examples(clusters)]


def _liked(clusters: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["| id | about | up-voted | share | trend | change | sure |", "|---|---|---:|---:|---|---|---:|"]
    lines += [
        f"| {one['id']} | {_cell(one['name'])} | {one['count']} | {one['share']:.0%} | {_trend(one['trend'])} "
        f"| {_change(one)} | {_sure(one)} |"
        for one in clusters
    ]
    return [*lines, "", "Questions nearest to the centre of each cluster:", "", *_examples(clusters)]


def _examples(clusters: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["| id | for example |", "|---|---|"]
    lines += [
        f"| {one['id']} | {'<br>'.join(_cell(text) for text in one['examples'])} |" for one in clusters[:_EVERYTHING]
    ]
    return lines


def _trend(trend: Mapping[str, Any]) -> str:
    counts = trend["counts"]
    if not counts:
        return trend["call"]
    top = max(*counts, 1)
    line = "".join(_BARS[round(count / top * (len(_BARS) - 1))] for count in counts)
    shown = trend["call"]
    if shown != "too little data":
        difference = trend["rate_now"] - trend["rate_before"]
        shown = (
            f"{shown}, {100 * difference:+.1f} points ({100 * trend['lower']:+.1f} to {100 * trend['upper']:+.1f}), "
            + ("p < 0.001" if trend["p_value"] < 0.001 else f"p {trend['p_value']:.3f}")
        )
    return f"{line} {shown}"


def _change(one: Mapping[str, Any]) -> str:
    said = str(one["change"])
    if one["origin"]:
        said += f" from {one['origin']}"
    if one["similarity"] is not None:
        said += f" ({one['similarity']:.2f})"
    if one["count_before"] is not None:
        said += f", was {one['count_before']} ({one['share_before']:.0%})"
    return said + (f", was called {_cell(one['former_name'])}" if one["former_name"] else "")


def _sure(one: Mapping[str, Any]) -> str:
    if one["stability"] is None:
        return "–"
    return f"{one['stability']:.2f}" + (" **unsure**" if one["unsure"] else "")


def _history(
    details: Mapping[str, Any], clusters: Sequence[Mapping[str, Any]], merged: Mapping[str, str], gone: Sequence[str]
) -> list[str]:
    if not details["previous_run"]:
        return []
    split = [f"{one['id']} from {one['origin']}" for one in clusters if one["origin"]]
    changes = {
        "kept": [one["id"] for one in clusters if one["change"] == "kept"],
        "back": [one["id"] for one in clusters if one["change"] == "back"],
        "new": [one["id"] for one in clusters if one["change"] == "new"],
        "split": split,
        "merged": [f"{old} into {new}" for old, new in merged.items()],
        "gone": list(gone),
    }
    told = "; ".join(f"{name}: {', '.join(ids)}" for name, ids in changes.items() if ids)
    return [f"Against run `{_cell(details['previous_run'])}`: {told}.", ""]


def _how(details: Mapping[str, Any]) -> list[str]:
    lines = ["## How to read this", ""]
    steady = details["stability"]
    if steady:
        lines.append(
            f"- **Sure**: found again in {steady['resamples']} resamples of the users with an adjusted Rand index of "
            f"{steady['ari']:.2f} (95 % of them from {steady['lower']:.2f} to {steady['upper']:.2f}); the column gives "
            "the mean overlap of a cluster with itself, and below 0.60 it is unsure."
        )
    lines.append("- **Failed of judged**: failures among all that was corrected or rated; the unit is the user.")
    if details["period_days"]:
        period = "week" if details["period_days"] == 7 else "day"
        lines.append(
            f"- **Trend**: one bar a {period}, the newest last; points are failures per 100 interactions, the newest "
            f"{period} against up to four before it."
        )
    else:
        lines.append("- **Trend**: the log spans less than two days, which is too short.")
    lines.append(f"- **Error rates**: {details['error_rate']}.")
    lines.append(f"- Encoder `{details['encoder']}`, method `{details['method']}`{_of_k(details)}.")
    return lines


def _of_k(details: Mapping[str, Any]) -> str:
    tried = ", ".join(f"{k}: {score:.2f}" for k, score in details["choices_of_k"])
    return f"; mean silhouette by number of clusters: {tried}" if tried else ""


def _cell(text: str, width: int = 160) -> str:
    short = " ".join(text.split())
    short = short if len(short) <= width else short[: width - 1] + "…"
    for character in "\\`*_[]<>|#":
        short = short.replace(character, {"<": "&lt;", ">": "&gt;"}.get(character, "\\" + character))
    return short
