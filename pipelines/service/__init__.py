"""The Kubeflow Pipelines service (API v2beta1): submit, schedule, watch and list runs of our pipelines."""
