"""Container images of the components; the package version is the image tag, so wheel and image cannot drift."""

import os
from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("feedback-flywheel")
except PackageNotFoundError as error:  # a bare source tree: components would name an image that does not exist
    raise ImportError(
        "the package feedback-flywheel is not installed; run scripts/test once, or `pip install -e '.[all]'`"
    ) from error

# A platform team compiles for its own mirror by exporting FLYWHEEL_IMAGE_REPOSITORY.
REPOSITORY = os.environ.get("FLYWHEEL_IMAGE_REPOSITORY", "ghcr.io/feedback-flywheel/python")

DATA = f"{REPOSITORY}-data:{VERSION}"
TRAINING = f"{REPOSITORY}-training:{VERSION}"
CONTROL = f"{REPOSITORY}-control:{VERSION}"
