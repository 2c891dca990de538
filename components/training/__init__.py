"""Turn a base model and a dataset into a new model: one job file, run by DeepSpeed under torchrun."""
