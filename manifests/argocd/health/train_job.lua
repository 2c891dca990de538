-- Health of trainer.kubeflow.org/TrainJob: conditions Complete, Failed, Suspended; there is no condition Running.
local hs = { status = "Progressing", message = "created" }
if obj.status ~= nil and obj.status.conditions ~= nil then
  for _, condition in ipairs(obj.status.conditions) do
    if condition.status == "True" then
      if condition.type == "Complete" then
        return { status = "Healthy", message = condition.message or "complete" }
      elseif condition.type == "Failed" then
        return { status = "Degraded", message = condition.message or "failed" }
      elseif condition.type == "Suspended" then
        hs = { status = "Suspended", message = condition.message or "waiting for its queue" }
      end
    end
  end
end
return hs
