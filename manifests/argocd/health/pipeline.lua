-- Health of pipelines.kubeflow.org/Pipeline: it has no status; once stored it is there.
return { status = "Healthy", message = "stored" }
