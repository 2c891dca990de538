"""Do the logs hold rows, and can they be read as what they claim to be? Looks at the beginning of every file only."""

from itertools import islice

from flywheel.components.intake import sources
from flywheel.components.intake.errors import IntakeError
from flywheel.components.intake.reading import read_rows
from flywheel.components.intake.records import FORMATS

_LOOKED_AT = 50  # rows per file


def log_content_problems(logs: str, log_format: str) -> list[str]:
    """Look at the beginning of every log file.

    Single bad rows are no problem (intake quarantines them); a file of which no row can be read is one.

    Args:
        logs: File, folder or glob on this machine.
        log_format: Name of the format, or auto.

    Returns:
        Problems, each with what to do.
    """
    if log_format not in FORMATS:
        return [f"unknown format {log_format!r}; use one of {', '.join(FORMATS)}"]
    try:
        found = sources.resolve(logs)
    except IntakeError as error:
        return [str(error)]
    problems = []
    for source in found:
        try:
            seen = list(islice(read_rows(source, log_format), _LOOKED_AT))
        except IntakeError as error:
            problems.append(str(error))
            continue
        if seen and all(row.value is None for row in seen):
            problems.append(
                f"{source.path}: none of its first {len(seen)} rows can be read; line {seen[0].line}: {seen[0].detail}"
            )
    return problems
