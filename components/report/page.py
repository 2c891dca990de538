"""The report as one self-contained HTML page: no script, no network, light and dark."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from pydantic import ValidationError

from flywheel.components.report.drift_pictures import quality_pictures, topic_picture
from flywheel.components.report.guardrail_chart import guardrail_chart
from flywheel.components.report.key_figures import duration, estimate, key_figures, percent
from flywheel.components.report.loop_diagram import loop_diagram
from flywheel.components.report.loss_chart import loss_chart
from flywheel.components.report.prediction_chart import change, prediction_chart
from flywheel.components.report.ramp_chart import ramp_chart
from flywheel.components.report.satisfaction_chart import satisfaction_chart
from flywheel.components.report.step_words import guardrail_title, step_title, unit

_HERE = Path(__file__).parent
_HEADLINES = {"promoted": "Promoted", "rolled back": "Rolled back", "held": "Held", "failed": "Failed"}


def render(figures: Mapping[str, Any]) -> str:
    """Render the page.

    Args:
        figures: What `figures.figures` returned; it is embedded in the page as JSON (`#figures`).

    Returns:
        HTML; the same figures give the same bytes.
    """
    template = _environment().get_template("page.html.j2")
    return template.render(
        f=figures,
        headline=_HEADLINES[figures["outcome"]["decision"]],
        tiles=key_figures(figures),
        style=Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        charts={name: _safe(value) for name, value in _charts(figures).items()},
        data=embedded(figures),
    )


def embedded(figures: Mapping[str, Any]) -> Markup:
    """Render JSON that cannot end the script element it stands in, whatever text it holds."""
    text = orjson.dumps(figures).decode()
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "duration": duration,
        "step": step_title,
        "guardrail": guardrail_title,
        "unit": unit,
        "change": lambda metric, part: change(metric, metric[part]),
        "shift": _shift,
        "number": _number,
        "moment": lambda text: str(text)[:16].replace("T", " "),
        "short": lambda digest: str(digest or "")[:12],
    }
    environment.globals["estimate"] = estimate
    return environment


def _number(value: Any) -> str:
    """Render counts with thousands, fractions with three significant digits, unknowns as "–"."""
    if value is None:
        return "–"
    if isinstance(value, bool | str):
        return str(value)
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1000 else f"{value:.3g}"


def _charts(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Draw what there is to draw; a missing chart is "" or []."""
    canary, drift, verdict = figures["canary"], figures["drift"], figures["verdict"]
    periods = figures["satisfaction"]["periods"]
    loss = (figures["training"] or {}).get("loss") or []
    looks = canary["looks"] if canary else []
    names = dict.fromkeys(metric["name"] for look in looks for metric in look["metrics"])
    return {
        "loop": loop_diagram(figures["loop"], figures["outcome"]["decision"], drift["outcome"] if drift else ""),
        "satisfaction": satisfaction_chart(periods, figures["satisfaction"]["period_days"]) if periods else "",
        "forest": _forest(verdict) if verdict else "",
        "ramp": ramp_chart(looks, canary["decision"]) if looks else "",
        "guardrails": [_guardrail(name, looks) for name in names],
        "prediction": prediction_chart(figures["predicted_lines"]),
        "topics": topic_picture(drift) if drift else "",
        "quality": quality_pictures(drift) if drift else [],
        "loss": loss_chart(loss) if loss else "",
    }


def _guardrail(name: str, looks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    last = next(metric for metric in looks[-1]["metrics"] if metric["name"] == name)
    return {
        "name": name,
        "ratio": last["scale"] == "ratio",
        "higher": last.get("better") == "higher",
        "svg": guardrail_chart(name, looks),
    }


def _shift(metric: Mapping[str, Any], part: str) -> str:
    """Render a change, limit or margin of the verdict: a rate with an absolute limit has no sign."""
    value = metric[part]
    if value is not None and metric["scale"] == "level":
        return percent(value)
    return change(metric, value)


def _forest(verdict: Mapping[str, Any]) -> str:
    from flywheel.components.contracts.verdict import MetricResult
    from flywheel.components.evaluation.verdict.forest_plot import forest_svg

    try:
        metrics = [MetricResult.model_validate(metric) for metric in verdict.get("metrics", [])]
    except ValidationError:  # written by another version; the reasons below the plot still say what was found
        return ""
    return forest_svg(metrics) if metrics else ""


def _safe(value: Any) -> Any:
    """Mark drawings as markup; their text was escaped when they were drawn."""
    if isinstance(value, str):
        return Markup(value)
    return [{**one, "svg": Markup(one["svg"])} for one in value]
