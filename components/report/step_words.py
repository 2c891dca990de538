"""What steps and guardrails are called in front of people."""

_STEPS = {
    "check_inputs": "Check inputs",
    "intake_feedback": "Read and anonymise feedback",
    "verify_anonymization": "Verify anonymisation",
    "snapshot_feedback": "Pin the feedback's version",
    "resolve_production": "Find production",
    "deduplicate_feedback": "Remove duplicates",
    "classify_corrections": "Classify corrections",
    "route_candidates": "Route candidates",
    "cluster_feedback": "Cluster failures",
    "mine_preferences": "Mine preference pairs",
    "validate_candidates": "Candidate contract",
    "check_trigger": "Enough to train?",
    "assemble_dataset": "Assemble dataset",
    "validate_training_data": "Training data contract",
    "train_model": "Train",
    "evaluate_models": "Evaluate both models",
    "decide_verdict": "Decide",
    "register_model": "Register",
    "detect_drift": "Look for drift",
    "prepare_traffic": "Prepare traffic",
    "run_canary": "Canary",
    "promote_model": "Promote",
    "restore_production": "Keep production",
    "report_hold": "Hold",
}
_GUARDRAILS = {"bad_feedback": "Bad feedback per user", "errors": "Server errors per user", "latency": "Latency"}


def step_title(step: str) -> str:
    """Name a step for people; an unknown one by its own name."""
    return _STEPS.get(step, step.replace("_", " ").capitalize())


def guardrail_title(name: str) -> str:
    """Name a guardrail for people."""
    return _GUARDRAILS.get(name, name.replace("_", " ").capitalize())
