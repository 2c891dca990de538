"""Compile the pipelines to versioned IR YAML, byte-stable, so that Git shows only real changes."""

from pathlib import Path

from flywheel.pipelines import catalogue

COMPILED = Path(__file__).parent / "compiled"


def compile_all(folder: Path = COMPILED) -> list[Path]:
    """Write one YAML file a pipeline.

    Args:
        folder: Where the files go.

    Returns:
        The files, in the catalogue's order.
    """
    from kfp import compiler

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in catalogue.PIPELINES:
        path = folder / f"{name.replace('-', '_')}.yaml"
        compiler.Compiler().compile(catalogue.load(name), str(path))
        written.append(path)
    return written


def drifted(folder: Path = COMPILED) -> list[str]:
    """Compile afresh and compare with what is committed.

    Returns:
        Names of files that are missing, differ, or belong to no pipeline.
    """
    import tempfile

    with tempfile.TemporaryDirectory() as fresh:
        expected = {path.name: path.read_bytes() for path in compile_all(Path(fresh))}
    present = {path.name: path.read_bytes() for path in sorted(folder.glob("*.yaml"))}
    return sorted(name for name in expected.keys() | present.keys() if expected.get(name) != present.get(name))
