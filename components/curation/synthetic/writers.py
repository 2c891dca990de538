"""Which model writes paraphrases, by name."""

from pathlib import Path

from flywheel.components.curation.synthetic.paraphrases import EndpointWriter, LocalWriter, Writer

GENERATORS = ("templates", "endpoint", "local")


def writer(
    generator: str, model: str, url: str, key_variable: str, temperature: float, seed: int, store: str = ""
) -> Writer | None:
    """Make the writer of a generator.

    Args:
        generator: `templates`, `endpoint` or `local`.
        model: Name of the endpoint's model, or the folder of the local one.
        url: Base URL of the endpoint.
        key_variable: Name of the environment variable that holds its API key.
        temperature: Of the model, 0 to 2.
        seed: Of the model.
        store: Feedback store; a local folder keeps the replies beside it.

    Returns:
        None for `templates`.

    Raises:
        ValueError: The generator is unknown, or what it needs is missing.
    """
    if generator not in GENERATORS:
        raise ValueError(f"generator must be one of {', '.join(GENERATORS)}, got {generator!r}")
    if generator == "templates":
        return None
    if not 0 <= temperature <= 2 or not model or (generator == "endpoint" and not url):
        raise ValueError(
            f"generator {generator} needs a model{' and a url' if generator == 'endpoint' else ' folder'}, and a "
            f"temperature from 0 to 2; got model {model!r}, url {url!r}, temperature {temperature}"
        )
    if generator == "local":
        return LocalWriter(model, temperature, seed)
    cache = str(Path(store) / "replies") if store and "://" not in store else ""
    return EndpointWriter(url, model, key_variable, temperature, seed, cache)
