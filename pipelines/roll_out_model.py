"""Pipeline `roll-out-model`: canary of a registered version; promoted when shown safe, rolled back when it harms."""

from kfp import dsl

from flywheel.components.deployment.component import (
    check_prediction,
    predict_canary,
    prepare_traffic,
    restore_traffic,
    run_canary,
)
from flywheel.components.registry.component import (
    promote_model,
    resolve_production,
    resolve_version,
    restore_production,
)
from flywheel.pipelines.task_settings import step


@dsl.pipeline(name="roll-out-model", description="Canary a version under anytime-valid guardrails.")
def roll_out_model(
    store: str,
    registry: str,
    run_id: str,
    model_name: str = "assistant",
    version: str = "candidate",
    production_model: str = "",
    service: str = "assistant",
    traffic: str = "",
    shares: str = "",
    driver: str = "local",
    policy: str = "",
    harm_budget: float = 0.0,
    alerts: str = "",
    namespace: str = "",
    prometheus: str = "",
    look_seconds: float = 60.0,
    step_seconds: float = 86400.0,
    maturity_seconds: float = 1800.0,
    seed: int = 7,
) -> str:
    """Roll a version out step by step; parameters as in `flywheel`.

    Args:
        version: Version number, or an alias such as `candidate`.

    Returns:
        `promote`, `rollback` or `hold`.
    """
    production = step(
        resolve_production(
            registry=registry, model_name=model_name, production_model=production_model, store=store, run_id=run_id
        )
    )
    chosen = step(resolve_version(registry=registry, model_name=model_name, version=version))
    candidate = dsl.importer(artifact_uri=chosen.outputs["uri"], artifact_class=dsl.Model, reimport=False)
    users = step(prepare_traffic(traffic=traffic, store=store, run_id=run_id))
    prediction = step(
        predict_canary(
            candidate=candidate.output,
            production_model=production.output,
            store=store,
            run_id=run_id,
            shares=shares,
            policy=policy,
            harm_budget=harm_budget,
            seed=seed,
        ),
        memory="16Gi",
        hours=12,
    )
    canary = step(
        run_canary(
            candidate=candidate.output,
            production_model=production.output,
            users=users.outputs["users"],
            registry=registry,
            service=service,
            store=store,
            run_id=run_id,
            shares=shares,
            driver=driver,
            policy=policy,
            harm_budget=harm_budget,
            alerts=alerts,
            namespace=namespace,
            prometheus=prometheus,
            look_seconds=look_seconds,
            step_seconds=step_seconds,
            maturity_seconds=maturity_seconds,
            seed=seed,
        ),
        memory="16Gi",
        hours=720,  # real users take days to show what they think
    ).after(prediction)
    # Whatever became of the canary step: an exit handler may stand in outermost pipelines only, this runs in any.
    step(restore_traffic(service=service, run_id=run_id, driver=driver, namespace=namespace)).after(
        canary
    ).ignore_upstream_failure()
    step(check_prediction(store=store, run_id=run_id, after=canary.outputs["Output"]))
    with dsl.If(canary.outputs["Output"] == "promote", name="shown safe"):
        step(
            promote_model(
                registry=registry,
                model_name=model_name,
                version=chosen.outputs["number"],
                expected_production=chosen.outputs["production"],
                reason="canary shown safe at every share",
                store=store,
                run_id=run_id,
            )
        )
    with dsl.Else(name="harmful or not settled"):
        step(
            restore_production(
                registry=registry,
                model_name=model_name,
                version=chosen.outputs["number"],
                reason="canary did not show the candidate safe",
                store=store,
                run_id=run_id,
            )
        )
    return canary.outputs["Output"]
