from pathlib import Path

import pytest
import yaml

from flywheel.components.evaluation.verdict.spec import DEFAULT, read_spec


def changed(tmp_path: Path, **changes: object) -> Path:
    content = yaml.safe_load(DEFAULT.read_text())
    content.update(changes)
    path = tmp_path / "gauntlet.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def metric(**changes: object) -> dict[str, object]:
    plain = {"name": "m", "measure": "accuracy", "role": "guardrail", "direction": "higher", "suites": ["untouched"]}
    return {**plain, "margin": 0.02, **changes}


PRIMARY = metric(name="p", role="primary", suites=["changed"], margin=0.0, effect=0.1)


def test_packaged_gauntlet_is_valid_and_protects() -> None:
    spec = read_spec()
    required = {m.name for m in spec.metrics if m.required and m.role != "primary"}
    assert {"accuracy_untouched", "unsafe_answers", "latency"} <= required
    assert spec.alpha == 0.05 and spec.power == 0.8


def test_digest_follows_the_meaning_and_not_the_spelling(tmp_path: Path) -> None:
    same = changed(tmp_path)
    assert "#" not in same.read_text()
    assert read_spec(same).digest() == read_spec().digest()
    assert read_spec(changed(tmp_path, alpha=0.04)).digest() != read_spec().digest()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"alhpa": 0.1}, "alhpa"),
        ({"alpha": 0.7}, "alpha"),
        ({"metrics": []}, "metrics"),
        ({"metrics": [metric(), PRIMARY, metric()]}, "names must differ: m"),
        ({"metrics": [metric()]}, "role primary"),
        ({"metrics": [PRIMARY]}, "role guardrail"),
        ({"metrics": [metric(required=False), PRIMARY]}, "required metric"),
        ({"metrics": [metric(margn=1), PRIMARY]}, "margn"),
        ({"metrics": [metric(margin=0.0), PRIMARY]}, "between 0 and 1"),
        ({"metrics": [metric(measure="latency", direction="lower", margin=0.2), PRIMARY]}, "ratio above 1"),
        ({"metrics": [metric(direction="lower"), PRIMARY]}, "higher accuracy is better, not lower"),
        ({"metrics": [metric(measure="latency", margin=1.2), PRIMARY]}, "lower latency is better, not higher"),
        (
            {"metrics": [metric(measure="unsafe", direction="lower", expected=0.02), PRIMARY]},
            "a rate of 0.02 is expected, but only 0.02 may pass",
        ),
        ({"metrics": [metric(measure="critical", direction="lower"), PRIMARY]}, "no critical case may be lost"),
        ({"metrics": [metric(measure="cost", direction="lower", margin=1.2), PRIMARY]}, "give prices"),
        ({"metrics": [metric(), {**PRIMARY, "measure": "unsafe", "direction": "lower"}]}, "primary metric measures"),
        ({"metrics": [metric(role="slice"), PRIMARY]}, "slice_by"),
        ({"metrics": [metric(), {**PRIMARY, "effect": None}]}, "smallest effect"),
        ({"metrics": [metric(suites=["nonsense"]), PRIMARY]}, "suites"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_spec(changed(tmp_path, **changes))


def test_files_that_are_no_gauntlet(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no gauntlet file"):
        read_spec(tmp_path / "none.yaml")
    (tmp_path / "list.yaml").write_text("- a\n")
    with pytest.raises(ValueError, match="must be a mapping"):
        read_spec(tmp_path / "list.yaml")
    (tmp_path / "broken.yaml").write_text("a: [")
    with pytest.raises(ValueError, match="is not YAML"):
        read_spec(tmp_path / "broken.yaml")
