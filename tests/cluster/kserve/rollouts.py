"""What the tests of rollouts look at: the state in the annotation, where the traffic goes."""

import json
import time

STATE = "flywheel.feedback-flywheel.dev/rollout"
MODE = "serving.kserve.io/deploymentMode"
PRODUCTION, CANDIDATE = "s3://models/production", "s3://models/candidate"


def state_of(served):
    return json.loads(served["metadata"]["annotations"][STATE])


def on_production(served):
    """Whether the spec sends everything to production."""
    predictor = served["spec"]["predictor"]
    return (
        not served["spec"].get("canary")
        and predictor["model"]["storageUri"] == PRODUCTION
        and predictor.get("canaryTrafficPercent") in (None, 0)
    )


def wait_for(true, seconds=20):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)
