"""Examples: our components in pipelines that are not ours, and a notebook from submission to report."""
