"""Run a Great Expectations suite over a data frame, offline, and name what is broken by check and example row."""

import logging
import math
import os
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from flywheel.components.validation import personal_data

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.expectations import Expectation

_EXAMPLES = 5
_SHOWN_CHARACTERS = 120


@dataclass(frozen=True)
class Check:
    """One expectation and what came of it.

    Attributes:
        check: Our short name of it, stable: reason codes and tests rest on it.
        expectation: Type of the Great Expectations expectation.
        column: Column that it looks at; "" for the whole table.
        says: What must hold, in words.
        severity: "critical" stops training, "warning" is shown.
        passed: Whether it held.
        unexpected: Rows that break it (0 or 1 for a check of the whole table).
        examples: Rows that break it: the row's key and the value, personal data masked.
        note: Why it could not be checked, when it could not; such a check has not passed.
    """

    check: str
    expectation: str
    column: str
    says: str
    severity: str
    passed: bool
    unexpected: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)
    note: str = ""


@dataclass(frozen=True)
class ContractResult:
    """What a suite says about a dataset."""

    suite: str
    rows: int
    checks: list[Check]

    @property
    def failed(self) -> list[Check]:
        """Critical checks that did not hold."""
        return [check for check in self.checks if not check.passed and check.severity == "critical"]

    @property
    def warnings(self) -> list[Check]:
        """Checks that did not hold and stop nothing."""
        return [check for check in self.checks if not check.passed and check.severity != "critical"]

    @property
    def outcome(self) -> str:
        """Return "pass" when every critical check held, otherwise "fail"."""
        return "fail" if self.failed else "pass"

    def to_json(self) -> dict[str, Any]:
        """Render as JSON values; holds no raw row, only masked examples."""
        return {
            "suite": self.suite,
            "outcome": self.outcome,
            "rows": self.rows,
            "expectations": len(self.checks),
            "failed": [asdict(check) for check in self.failed],
            "warnings": [asdict(check) for check in self.warnings],
            "checks": [asdict(check) for check in self.checks],
        }


def run(suite: str, frame: "pd.DataFrame", expectations: "list[Expectation]", key: str) -> ContractResult:
    """Check a data frame against expectations.

    Each expectation carries `meta={"check": name, "says": words}`. A first pass counts (result format BASIC); only
    what failed is run again with row indices, because collecting indices costs three times as much at a million rows.

    Args:
        suite: Name of the suite.
        frame: The dataset, projected to the columns that the expectations name.
        expectations: What must hold; a column that is missing makes its expectation fail, not raise.
        key: Column that names a row in the examples.

    Returns:
        Every check with its outcome, in the order given.

    Raises:
        ValueError: Two expectations have the same check name, or one has none.
    """
    names = [str((expectation.meta or {}).get("check", "")) for expectation in expectations]
    if "" in names or len(set(names)) != len(names):
        raise ValueError(f"suite {suite}: every expectation needs its own meta['check'], got {names}")
    first = _validate(suite, frame, expectations, {"result_format": "BASIC"})
    broken = [expectation for expectation in expectations if not first[_name(expectation)]["success"]]
    detailed = {}
    if broken and key in frame.columns:
        detailed = _validate(
            suite,
            frame,
            broken,
            {
                "result_format": "COMPLETE",
                "unexpected_index_column_names": [key],
                "partial_unexpected_count": _EXAMPLES,
                "return_unexpected_index_query": False,
            },
        )
    checks = [_check(expectation, first, detailed, key) for expectation in expectations]
    return ContractResult(suite=suite, rows=len(frame), checks=checks)


def _validate(
    suite: str, frame: "pd.DataFrame", expectations: "list[Expectation]", result_format: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """Run one pass in a context of its own; returns each check's result by its name."""
    gx = great_expectations()
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(enable=False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("memory").add_dataframe_asset(suite)
    batch = asset.add_batch_definition_whole_dataframe("all rows")
    contract = context.suites.add(gx.ExpectationSuite(name=suite))
    for expectation in expectations:
        contract.add_expectation(expectation.copy(update={"id": None}))
    definition = context.validation_definitions.add(gx.ValidationDefinition(name=suite, data=batch, suite=contract))
    outcome = definition.run(batch_parameters={"dataframe": frame}, result_format=result_format)
    results = [result.to_json_dict() for result in outcome.results]
    return {result["expectation_config"]["meta"]["check"]: result for result in results}


def expect(kind: str, check: str, says: str, *, hidden: bool = False, **arguments: Any) -> "Expectation":
    """Make an expectation that carries its name.

    Args:
        kind: Class name in `great_expectations.expectations`.
        check: Short, stable name of the check, unique in its suite.
        says: What must hold, in words.
        hidden: Whether examples must not show the value, because a wrong one may be somebody's name.
        **arguments: The expectation's own arguments.

    Returns:
        The expectation.
    """
    made = getattr(great_expectations().expectations, kind)(
        meta={"check": check, "says": says, "hidden": hidden}, **arguments
    )
    return cast("Expectation", made)


def great_expectations() -> Any:
    """Import Great Expectations (2 to 3 s) with its telemetry and chatter off; nothing is sent anywhere."""
    os.environ["GX_ANALYTICS_ENABLED"] = "False"
    import great_expectations as gx

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    return gx


def _name(expectation: "Expectation") -> str:
    return str((expectation.meta or {})["check"])


def _check(
    expectation: "Expectation",
    first: dict[str, dict[str, Any]],
    detailed: dict[str, dict[str, Any]],
    key: str,
) -> Check:
    name = _name(expectation)
    outcome = first[name]
    config, result = outcome["expectation_config"], outcome.get("result") or {}
    column = str(config["kwargs"].get("column", ""))
    examples: list[dict[str, Any]] = []
    for row in (detailed.get(name, {}).get("result") or {}).get("partial_unexpected_index_list") or []:
        example = {label: shown(row[label]) for label in dict.fromkeys([key, column]) if label in row}
        if (expectation.meta or {}).get("hidden") and column in example:
            example[column] = f"(hidden, {len(str(row[column]))} characters)"
        examples.append(example)
    passed = bool(outcome["success"])
    note = "" if passed else _exception(outcome)
    if not passed and not note and not examples and "observed_value" in result:
        examples = [{"observed": shown(result["observed_value"])}]
    return Check(
        check=name,
        expectation=str(config["type"]),
        column=column,
        says=str((expectation.meta or {}).get("says", "")),
        severity=str(config.get("severity") or "critical"),
        passed=passed,
        unexpected=0 if passed else max(1, int(result.get("unexpected_count") or 0)),
        examples=examples[:_EXAMPLES],
        note=note,
    )


def _exception(outcome: dict[str, Any]) -> str:
    """Why an expectation could not be evaluated: Great Expectations keeps one or several exceptions."""
    info = outcome.get("exception_info") or {}
    entries = [info] if "raised_exception" in info else [entry for entry in info.values() if isinstance(entry, dict)]
    messages = [str(entry.get("exception_message")) for entry in entries if entry.get("raised_exception")]
    return "; ".join(dict.fromkeys(messages))[:300]


def shown(value: Any) -> Any:
    """Make a value fit to be shown: personal data masked, long text cut, times as ISO text, NaN as None."""
    if isinstance(value, bool | int) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat()
    text = personal_data.mask(str(value))
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}… ({len(text)} characters)"
