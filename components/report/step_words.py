"""What steps and guardrails are called in front of people."""

_STEPS = {
    "check_inputs": "Check inputs",
    "intake_feedback": "Read and anonymise feedback",
    "join_feedback": "Join feedback and next turns",
    "audit_privacy": "Audit privacy",
    "verify_anonymization": "Verify anonymisation",
    "snapshot_feedback": "Pin the feedback's version",
    "resolve_production": "Find production",
    "deduplicate_feedback": "Remove duplicates",
    "classify_corrections": "Classify corrections",
    "import_reviews": "Take in reviews",
    "route_candidates": "Route candidates",
    "check_bias": "Check for bias",
    "cluster_feedback": "Cluster failures",
    "export_for_review": "Ask people",
    "expand_thin_clusters": "Expand thin clusters",
    "mine_preferences": "Mine preference pairs",
    "validate_candidates": "Candidate contract",
    "check_trigger": "Enough to train?",
    "assemble_dataset": "Assemble dataset",
    "export_preferences": "Write preference files",
    "validate_training_data": "Training data contract",
    "train_model": "Train",
    "evaluate_models": "Evaluate both models",
    "decide_verdict": "Decide",
    "register_model": "Register",
    "detect_drift": "Look for drift",
    "prepare_traffic": "Prepare traffic",
    "attack_models": "Attack both models",
    "judge_answers": "Judge open answers",
    "predict_canary": "Predict the canary by replay",
    "run_canary": "Canary",
    "compare_live_versions": "A/B of live versions",
    "check_prediction": "Compare with the prediction",
    "promote_model": "Promote",
    "restore_production": "Keep production",
    "report_hold": "Hold",
}
_GUARDRAILS = {
    "bad_feedback": "Bad feedback per user",
    "dissatisfaction": "Silent dissatisfaction per user",
    "feedback_rate": "Approving feedback per user",
    "engagement": "Questions per user",
    "errors": "Server errors per user",
    "latency": "Latency",
    "latency_p95": "Slow answers per user",
    "cost": "Answer length (cost)",
    "fewer_complaints": "Bad turns of any kind",
    "more_engagement": "Questions per user, as a goal",
}
_UNITS = {"latency": "ms", "cost": "tokens", "engagement": "questions", "more_engagement": "questions"}


def step_title(step: str) -> str:
    """Name a step for people; an unknown one by its own name."""
    return _STEPS.get(step, step.replace("_", " ").capitalize())


def guardrail_title(name: str) -> str:
    """Name a guardrail for people."""
    return _GUARDRAILS.get(name, name.replace("_", " ").capitalize())


def unit(name: str) -> str:
    """Unit of a guardrail that is compared as a ratio; "" when the name does not tell."""
    return _UNITS.get(name, "")
