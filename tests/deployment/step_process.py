"""A canary step as a process of its own, for the test that kills it: argv is a JSON object of `canary.run` arguments."""

import json
import sys
from pathlib import Path

from flywheel.components.deployment.canary import canary
from flywheel.components.deployment.canary.policy import CanaryPolicy

arguments = json.loads(sys.argv[1])
policy = CanaryPolicy.model_validate(arguments.pop("policy"))
result = canary.run(
    folder=Path(arguments.pop("folder")), policy=policy, tell=lambda line: print(line, flush=True), **arguments
)
print(f"decision {result.state.decision}", flush=True)
