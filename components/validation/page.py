"""The validation page: every check in words, broken ones with example rows; one file, no script, no network.

Great Expectations' own page loads its style sheets and scripts from five content delivery networks
(`great_expectations/render/view/templates/js_script_imports.j2`), so it is blank on a cluster without internet.
"""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from flywheel.components.validation.contract import Check, ContractResult

_STYLE = """
:root{--ink:#1d2530;--soft:#64707f;--line:#e3e8ee;--good:#12805c;--bad:#b3261e;--warn:#9a6700;--card:#fff;--back:#f5f7fa}
@media (prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9aa6b5;--line:#2c3542;--good:#4cc38a;--bad:#ff8a80;
--warn:#e3b341;--card:#161c25;--back:#0e131a}}
*{box-sizing:border-box}body{margin:0;background:var(--back);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:980px;margin:0 auto;padding:32px 20px 64px}h1{font-size:24px;margin:0 0 4px}h2{font-size:18px;margin:0}
.lead{color:var(--soft);margin:0 0 24px}.card{background:var(--card);border:1px solid var(--line);border-radius:12px;
padding:20px;margin:0 0 20px}.head{display:flex;gap:12px;align-items:center;flex-wrap:wrap;margin-bottom:12px}
.tag{border-radius:99px;padding:2px 12px;font-weight:600;font-size:13px;border:1.5px solid currentColor}
.pass{color:var(--good)}.fail{color:var(--bad)}.warning{color:var(--warn)}.count{color:var(--soft)}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:7px 10px 7px 0;border-top:1px solid var(--line);
vertical-align:top}th{color:var(--soft);font-weight:500;font-size:13px;border:0}
code{font:13px ui-monospace,SFMono-Regular,Menlo,monospace;overflow-wrap:anywhere}
.examples{margin:6px 0 0;padding:8px 12px;border-left:3px solid var(--bad);background:var(--back)}
.examples div{margin:2px 0}td:first-child{width:90px;white-space:nowrap}td:last-child{width:120px}
"""
_WORDS = {"pass": "passed", "fail": "failed", "warning": "warning"}


def render(outcome: str, results: Sequence[ContractResult]) -> str:
    """Render results as one self-contained HTML page.

    Args:
        outcome: "pass" or "fail".
        results: Results of the suites that ran; broken checks are shown first.

    Returns:
        The page; the same results give the same bytes.
    """
    lead = (
        "Every critical check held: this data may train a model."
        if outcome == "pass"
        else "Training is stopped. The first rows of each broken check are named below; fix them at their source "
        "(usually intake or curation) and run the pipeline again."
    )
    cards = "".join(_card(result) for result in results)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Data contract: {_WORDS[outcome]}</title><style>{_STYLE}</style></head><body><main>"
        f'<h1>Data contract: <span class="{outcome}">{_WORDS[outcome]}</span></h1>'
        f'<p class="lead">{lead}</p>{cards}'
        '<p class="lead">Checked with Great Expectations. Personal data in examples is masked.</p>'
        "</main></body></html>\n"
    )


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


def _card(result: ContractResult) -> str:
    order = {"fail": 0, "warning": 1, "pass": 2}
    checks = sorted(result.checks, key=lambda check: order[_state(check)])
    held = sum(check.passed for check in checks)
    return (
        f'<section class="card"><div class="head"><h2>{escape(result.suite)}</h2>'
        f'<span class="tag {result.outcome}">{_WORDS[result.outcome]}</span>'
        f'<span class="count">{result.rows:,} rows · {held} of {len(checks)} checks held</span></div>'
        "<table><tr><th>Outcome</th><th>What must hold</th><th>Rows that break it</th></tr>"
        f"{''.join(_row(check) for check in checks)}</table></section>"
    )


def _row(check: Check) -> str:
    state = _state(check)
    examples = "".join(
        "<div>" + " · ".join(f"{escape(str(k))} <code>{escape(str(v))}</code>" for k, v in row.items()) + "</div>"
        for row in check.examples
    )
    if check.note:
        examples += f"<div>could not be checked: {escape(check.note)}</div>"
    box = f'<div class="examples">{examples}</div>' if examples else ""
    column = f" on <code>{escape(check.column)}</code>" if check.column else ""
    return (
        f'<tr><td class="{state}">{_WORDS[state]}</td><td>{escape(check.says)}'
        f'<div class="count"><code>{escape(check.check)}</code>: {escape(check.expectation)}{column}</div>{box}</td>'
        f"<td>{check.unexpected or ''}</td></tr>"
    )


def _state(check: Check) -> str:
    if check.passed:
        return "pass"
    return "fail" if check.severity == "critical" else "warning"
