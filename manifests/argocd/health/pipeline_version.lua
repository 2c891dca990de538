-- Health of pipelines.kubeflow.org/PipelineVersion: the condition PipelineVersionStatus that the API server writes.
local hs = { status = "Progressing", message = "not looked at by the pipeline service yet" }
if obj.status ~= nil and obj.status.conditions ~= nil then
  for _, condition in ipairs(obj.status.conditions) do
    if condition.type == "PipelineVersionStatus" then
      hs.message = condition.message or condition.reason or ""
      if condition.status == "True" then
        hs.status = "Healthy"
      elseif condition.status == "False" then
        hs.status = "Degraded"
      end
      return hs
    end
  end
end
-- Without a status the webhook has accepted it (a refused version is not stored), so there is nothing to wait for.
if obj.metadata.ownerReferences ~= nil then
  hs.status = "Healthy"
  hs.message = "accepted, owned by its pipeline"
end
return hs
