"""Canary rollouts on KServe: the state lives on the InferenceService, so that a killed step continues where it was."""
