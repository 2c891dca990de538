"""Alerts and board are built on names that the service exports."""

import re
from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families

from flywheel.components.intake.service.metrics import OUTCOMES, IntakeMetrics

MONITORING = Path(__file__).parents[3] / "manifests" / "base" / "monitoring"


def expressions():
    rules = next(yaml.safe_load_all((MONITORING / "rules.yaml").read_text()))
    board = yaml.safe_load((MONITORING / "flywheel-board.json").read_text())
    yield from (rule["expr"] for group in rules["spec"]["groups"] for rule in group["rules"])
    yield from (target["expr"] for panel in board["panels"] for target in panel["targets"])


def exported():
    families = text_string_to_metric_families(IntakeMetrics().text().decode())
    return {sample.name: sample.labels for family in families for sample in family.samples}


def test_every_metric_of_alerts_and_board_is_exported():
    wanted = {name for text in expressions() for name in re.findall(r"flywheel_intake_\w+", text)}
    assert len(wanted) >= 5
    assert wanted <= exported().keys()


def test_labels_of_alerts_and_board_exist():
    samples = exported()
    checked = 0
    for text in expressions():
        names = re.findall(r"flywheel_intake_\w+", text)
        for label, value in re.findall(r'(\w+)!?="(\w+)"', text) if names else ():
            assert label in samples[names[0]], text
            assert label != "outcome" or value in OUTCOMES, text
            checked += 1
        for label in re.findall(r"sum by \((\w+)\)", text) if names else ():
            assert label in samples[names[0]], text
            checked += 1
    assert checked >= 3


def test_promised_names():
    assert exported().keys() >= {
        "flywheel_intake_events_total",
        "flywheel_intake_request_duration_seconds_bucket",
        "flywheel_intake_unmoved_bytes",
        "flywheel_intake_oldest_unmoved_seconds",
        "flywheel_intake_moved_rows_total",
    }
    metrics = IntakeMetrics()
    metrics.quarantined.labels("not_json").inc()
    assert b'flywheel_intake_quarantined_total{reason="not_json"} 1.0' in metrics.text()


def test_deployment_starts_the_command_with_options_and_variables_that_it_has():
    import typer

    from flywheel.components.intake import pseudonyms
    from flywheel.components.intake.service import settings
    from flywheel.scripts.command.app import app

    documents = list(yaml.safe_load_all((MONITORING.parent / "intake" / "deployment.yaml").read_text()))
    (container,) = documents[0]["spec"]["template"]["spec"]["containers"]
    program, command = container["command"]
    assert program == "flywheel"
    known = {option for one in typer.main.get_command(app).commands[command].params for option in one.opts}
    assert {text.split("=")[0] for text in container["args"]} <= known
    variables = {one["name"] for one in container["env"]} | documents[1]["data"].keys()
    read = {settings.KEYS_VARIABLE, settings.ISSUER_VARIABLE, settings.AUDIENCE_VARIABLE, pseudonyms.KEY_VARIABLE}
    assert read <= variables
    stop = container["livenessProbe"]["httpGet"]["path"], container["readinessProbe"]["httpGet"]["path"]
    assert stop == ("/healthz", "/readyz")
    grace = documents[0]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace > settings.Settings.stop_seconds + 10  # the drain of requests comes first
