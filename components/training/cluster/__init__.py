"""The launcher `trainjob`: the same training job as pods of a Kubeflow TrainJob."""
