"""Reusable Kubeflow Pipelines components of the feedback flywheel; one stage, one package."""
