"""The drift report for people: a self-contained HTML page (no script, no network) and a Markdown summary."""

from html import escape
from pathlib import Path

from flywheel.components.monitoring.alerts import Alert
from flywheel.components.monitoring.drift_charts import quality_chart, topic_chart
from flywheel.components.monitoring.drift_check import DriftReport, plain_time, quality_words
from flywheel.components.monitoring.quality_alarm import QualityAlarm

_STYLE = """
:root{--ink:#1d2530;--soft:#64707f;--line:#e3e8ee;--good:#12805c;--bad:#c0392b;--warn:#9a6700;--card:#fff;
--back:#f5f7fa;--blue:#2f6fde;--grey:#b8c2cf}
@media (prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9aa6b5;--line:#2c3542;--good:#4cc38a;--bad:#ff8a80;
--warn:#e3b341;--card:#161c25;--back:#0e131a;--blue:#6ea3ff;--grey:#55606f}}
*{box-sizing:border-box}p{margin:2px 0 8px}body{margin:0;background:var(--back);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1000px;margin:0 auto;padding:32px 20px 64px}h1{font-size:24px;margin:0 0 4px}
h2{font-size:18px;margin:0 0 4px}h3{font-size:15px;margin:0}
.lead{color:var(--soft);margin:0 0 20px}.card{background:var(--card);
border:1px solid var(--line);border-radius:12px;padding:20px;margin:0 0 20px}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(270px,1fr));gap:20px}
.alert,.alarm,.critical{color:var(--bad)}.quiet,.good{color:var(--good)}.unknown,.warning{color:var(--warn)}
.soft,.missing,.info{color:var(--soft)}ul{margin:8px 0 0;padding-left:20px}li{margin:4px 0}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:7px 12px 7px 0;border-top:1px solid var(--line)}
th{color:var(--soft);font-weight:500;font-size:13px;border:0}code{font:13px ui-monospace,Menlo,monospace}
svg{width:100%;height:auto;display:block;overflow:visible}.tick{font-size:11px;fill:var(--soft)}
.name{font-size:13px;fill:var(--ink)}.band{fill:var(--blue);opacity:.13}.line{fill:none;stroke:var(--blue);stroke-width:2}
.whisker{stroke:var(--blue);stroke-width:2}.dot{fill:var(--blue)}.whisker.hot{stroke:var(--bad)}.dot.hot{fill:var(--bad)}
.ref{stroke:var(--grey);stroke-width:1.5}.tol{stroke:var(--bad);stroke-width:1.2;stroke-dasharray:5 4;opacity:.8}
.axis{stroke:var(--grey)}.before{fill:var(--grey)}.now{fill:var(--blue)}
"""
_TITLES = {
    "alert": "something changed",
    "quiet": "no change shown",
    "unknown": "too little data to tell",
}


def render_html(report: DriftReport, alerts: list[Alert]) -> str:
    """Render the page.

    Args:
        report: What the detectors say.
        alerts: Alerts made of it.

    Returns:
        HTML; the same report gives the same bytes.
    """
    title = _TITLES[report.outcome]
    reasons = "".join(f"<li>{_reason(reason)}</li>" for reason in report.reasons)
    body = [
        f'<h1>Drift: <span class="{report.outcome}">{title}</span></h1>'
        f'<p class="lead">Current window against everything before; {escape(report.error_rate)}.</p>',
        f'<section class="card"><h2>Why</h2><ul>{reasons}</ul>{_windows(report)}</section>',
    ]
    if report.quality:
        charts = "".join(f"<div>{_quality(alarm)}</div>" for alarm in report.quality)
        body.append(
            '<section class="card"><h2>How answers are taken</h2><p class="lead">Mean since the current window began, '
            "looked at every day. Grey: the reference; dashed: the level still tolerated; the band holds at all looks "
            f'together. A band wholly above the dashed line is an alarm.</p><div class="grid">{charts}</div></section>'
        )
    if report.topics is not None and report.topics.topics:
        body.append(
            '<section class="card"><h2>What people ask about</h2><p class="lead">'
            f"{report.topics.total_variation:.0%} of the questions moved between topics. The whiskers hold together "
            f"with 95 %; red ones exclude no change.</p>{topic_chart(report.topics.topics)}</section>"
        )
    if report.prompts is not None:
        shown = "".join(f"<li>{escape(prompt)}</li>" for prompt in report.prompts.exemplars)
        body.append(
            '<section class="card"><h2>What is new in the prompts</h2><p class="lead">A classifier that never saw the '
            f"user tells a current from an older prompt with AUC <b>{report.prompts.auc:.2f}</b> (0.50 is chance). "
            f"Current prompts least like the old ones:</p><ul>{shown or '<li>none may be shown</li>'}</ul></section>"
        )
    if report.tests:
        body.append(f'<section class="card"><h2>Tests of the inputs</h2>{_tests(report)}</section>')
    if alerts:
        rows = "".join(
            f'<tr><td class="{alert.severity}">{alert.severity}</td><td><code>{escape(alert.reason)}</code></td>'
            f"<td>{escape(alert.summary)}<br><span class=soft>{escape(alert.what_to_do)}</span></td></tr>"
            for alert in alerts
        )
        body.append(f'<section class="card"><h2>Alerts</h2><table>{rows}</table></section>')
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Drift: {title}</title><style>{_STYLE}</style></head><body><main>{''.join(body)}</main></body></html>\n"
    )


def render_markdown(report: DriftReport, alerts: list[Alert]) -> str:
    """Render the summary.

    Args:
        report: What the detectors say.
        alerts: Alerts made of it.

    Returns:
        Markdown.
    """
    lines = [f"# Drift: {_TITLES[report.outcome]}", "", f"Error rate: {report.error_rate}.", ""]
    lines += [f"- `{code}`: {_plain(words)}" for code, words in (reason.split(": ", 1) for reason in report.reasons)]
    lines += ["", "| window | interactions | users | from | to |", "|---|---|---|---|---|"]
    for name, window in report.windows.items():
        first, last = plain_time(window["first"]), plain_time(window["last"])
        lines.append(f"| {name} | {window['rows']} | {window['users']} | {first} | {last} |")
    if report.topics is not None:
        lines += ["", "| topic | before | now | change, points (95 %) |", "|---|---|---|---|"]
        lines += [
            f"| {_plain(topic.name)} | {topic.reference:.1%} | {topic.current:.1%} | {100 * topic.change:+.1f} "
            f"({100 * topic.lower:+.1f} to {100 * topic.upper:+.1f}) |"
            for topic in report.topics.topics
        ]
    if report.quality:
        lines += ["", "| quality | outcome |", "|---|---|"]
        for alarm in report.quality:
            words = quality_words(alarm, alarm.looks[-1]) if alarm.looks else f"{alarm.measure} not logged often enough"
            lines.append(f"| {words} | {alarm.outcome} |")
    if alerts:
        lines += ["", "## Alerts", ""]
        lines += [f"- **{alert.severity}** `{alert.reason}`: {_plain(alert.what_to_do)}" for alert in alerts]
    return "\n".join(lines) + "\n"


def write_whole(path: str, text: str) -> None:
    """Write a file so that a reader sees nothing or all of it.

    Args:
        path: Target; its folder is created.
        text: Content.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(target)


def _reason(reason: str) -> str:
    code, words = reason.split(": ", 1)
    return f"<code>{escape(code)}</code> {escape(words)}"


def _windows(report: DriftReport) -> str:
    rows = "".join(
        f"<tr><td>{name}</td><td>{window['rows']:,}</td><td>{window['users']:,}</td>"
        f"<td>{plain_time(window['first'])}</td><td>{plain_time(window['last'])}</td></tr>"
        for name, window in report.windows.items()
    )
    head = "<tr><th>Window</th><th>Interactions</th><th>Users</th><th>From</th><th>To</th></tr>"
    return f"<table>{head}{rows}</table>"


def _quality(alarm: QualityAlarm) -> str:
    name = alarm.measure.replace("_", " ").capitalize()
    if not alarm.looks:
        return f'<h3>{name}</h3><p class="missing">not logged often enough to judge</p>'
    words = escape(quality_words(alarm, alarm.looks[-1]))
    fired = f", first shown {plain_time(alarm.fired_at)}" if alarm.fired_at else ""
    state = f'<span class="{alarm.outcome}">{alarm.outcome}</span>'
    return f'<h3>{name}: {state}</h3><p class="soft">{words}{fired}</p>{quality_chart(alarm)}'


def _tests(report: DriftReport) -> str:
    medians = {number.feature: number for number in report.numbers}
    rows = []
    for test in report.tests:
        number = medians.get(test.name)
        detail = ""
        if number is not None:
            detail = f"median {number.reference:.0f} to {number.current:.0f}, distance {number.distance:.2f}"
        state = '<span class="alarm">changed</span>' if test.alarm else '<span class="quiet">no change shown</span>'
        rows.append(
            f"<tr><td>{escape(test.name)}</td><td>{state}</td><td>{test.p_value:.2g}</td><td>{test.adjusted:.2g}</td>"
            f"<td>{detail}</td></tr>"
        )
    head = "<tr><th>Test</th><th>Outcome</th><th>p</th><th>p, Holm</th><th></th></tr>"
    return f"<table>{head}{''.join(rows)}</table>"


def _plain(text: str) -> str:
    """Take the meaning out of Markdown's and HTML's special characters."""
    return escape("".join(f"\\{letter}" if letter in "\\`*_[]|" else letter for letter in text), quote=False)
