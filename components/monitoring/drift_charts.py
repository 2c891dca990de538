"""Inline SVG charts of the drift page: quality over the window, topic shares with the intervals of their changes."""

from html import escape

from flywheel.components.monitoring.quality_alarm import QualityAlarm, QualityLook
from flywheel.components.monitoring.topics import Topic

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 440, 190, 52, 26, 12


def quality_chart(alarm: QualityAlarm) -> str:
    """Draw one measure: value since the window began with its band, the reference and the tolerated level.

    The band is drawn around the value; an alarm is a band that lies wholly above the tolerated level.

    Args:
        alarm: A measure with at least one look.

    Returns:
        An SVG element.
    """
    reference = alarm.reference or 0.0
    ratio = alarm.scale == "ratio"
    limit = reference * alarm.tolerance if ratio else reference + alarm.tolerance
    bands = [_band(look, reference, ratio) for look in alarm.looks]
    top = max([limit, *(high for _, high in bands)]) * 1.05 or 1.0
    if bands and top > 3 * max(limit, *(look.value for look in alarm.looks)):  # wide first bands squash the line
        top = 3 * max(limit, *(look.value for look in alarm.looks))

    # Rates start at zero; a latency has no meaningful zero here, its levels would all lie at the top.
    floor = 0.9 * min([reference, *(max(low, 0.5 * reference) for low, _ in bands)]) if ratio else 0.0

    def x(place: int) -> float:
        return _LEFT + (_WIDTH - _LEFT - 12) * (place + 0.5) / len(alarm.looks)

    def y(value: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - (min(max(value, floor), top) - floor) / ((top - floor) or 1.0))

    show = (lambda value: f"{value:.0f} ms") if ratio else (lambda value: f"{value:.1%}")
    parts = [
        _level(y(reference), "reference", "ref", show(reference), y(limit) + 13),
        _level(y(limit), "tolerated", "tol", show(limit)),
    ]
    outline = [f"{x(k):.1f},{y(low):.1f}" for k, (low, _) in enumerate(bands)]
    outline += [f"{x(k):.1f},{y(bands[k][1]):.1f}" for k in reversed(range(len(bands)))]
    parts.append(f'<polygon class="band" points="{" ".join(outline)}"/>')
    line = " ".join(f"{x(k):.1f},{y(look.value):.1f}" for k, look in enumerate(alarm.looks))
    parts.append(f'<polyline class="line" points="{line}"/>')
    for place, look in enumerate(alarm.looks):
        low, high = bands[place]
        across = f"{x(place):.1f}"
        fired = " hot" if low > limit else ""
        parts.append(
            f'<line class="whisker{fired}" x1="{across}" x2="{across}" y1="{y(low):.1f}" y2="{y(high):.1f}"/>'
            f'<circle class="dot{fired}" cx="{across}" cy="{y(look.value):.1f}" r="4"><title>{escape(look.at)}: '
            f"{show(look.value)} ({show(low)} to {show(high)}), {look.users} users, {look.rows} rows</title></circle>"
            f'<text class="tick" x="{across}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(look.at[5:10])}</text>'
        )
    label = f"{alarm.measure.replace('_', ' ')} over the current window"
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def topic_chart(topics: list[Topic]) -> str:
    """Draw topic shares as pairs of bars, and the change of each with its interval.

    Args:
        topics: Topics, largest change first; at least one.

    Returns:
        An SVG element.
    """
    width, row, name_width, bars = 900, 40, 250, 300
    middle = name_width + bars + 175
    most = max(max(topic.reference, topic.current) for topic in topics) or 1.0
    reach = max(max(abs(topic.lower), abs(topic.upper)) for topic in topics) or 1.0
    parts = [
        f'<text class="tick" x="{name_width}" y="14">share: before (grey), now (blue)</text>',
        f'<text class="tick" x="{middle}" y="14" text-anchor="middle">change, points</text>',
        f'<line class="axis" x1="{middle}" x2="{middle}" y1="22" y2="{30 + row * len(topics)}"/>',
    ]
    for place, topic in enumerate(topics):
        top = 28 + row * place
        before, now = bars * topic.reference / most, bars * topic.current / most
        clear = topic.lower > 0 or topic.upper < 0
        hot = " hot" if clear else ""
        left, dot, right = (middle + value * 130 / reach for value in (topic.lower, topic.change, topic.upper))
        interval = f"{100 * topic.change:+.1f} points ({100 * topic.lower:+.1f} to {100 * topic.upper:+.1f})"
        parts.append(
            f'<text class="name" x="{name_width - 10}" y="{top + 18}" text-anchor="end">{escape(topic.name[:38])}'
            f"<title>{escape(topic.example or topic.name)}</title></text>"
            f'<rect class="before" x="{name_width}" y="{top + 2}" width="{before:.1f}" height="11" rx="2"/>'
            f'<rect class="now" x="{name_width}" y="{top + 15}" width="{now:.1f}" height="11" rx="2"/>'
            f'<text class="tick" x="{name_width + before + 5:.1f}" y="{top + 12}">{topic.reference:.1%}</text>'
            f'<text class="tick" x="{name_width + now + 5:.1f}" y="{top + 25}">{topic.current:.1%}</text>'
            f'<line class="whisker{hot}" x1="{left:.1f}" x2="{right:.1f}" y1="{top + 14}" y2="{top + 14}"/>'
            f'<circle class="dot{hot}" cx="{dot:.1f}" cy="{top + 14}" r="4"><title>{interval}</title></circle>'
        )
    height = 36 + row * len(topics)
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="topic shares">{"".join(parts)}</svg>'


def _band(look: QualityLook, reference: float, ratio: bool) -> tuple[float, float]:
    if ratio:
        return reference * look.lower, reference * look.upper
    return reference + look.lower, reference + look.upper


def _level(height: float, name: str, kind: str, value: str, no_higher: float = 0.0) -> str:
    text = f'x="{_LEFT - 6}" y="{max(height, no_higher) + 4:.1f}" text-anchor="end"'
    return (
        f'<line class="{kind}" x1="{_LEFT}" x2="{_WIDTH - 12}" y1="{height:.1f}" y2="{height:.1f}"/>'
        f'<text class="tick" {text}>{value}<title>{name}</title></text>'
    )
