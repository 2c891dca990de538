"""The pipelines that compose the components; one file a pipeline."""
