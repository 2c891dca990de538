"""KFP component of the feedback store: name the version of the data that a run works on."""

from kfp import dsl

from flywheel.components import images


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def snapshot_feedback(store: str, run_id: str, feedback: dsl.Output[dsl.Dataset]) -> int:
    """Pin the newest version of the feedback tables, so that the whole run reads the same rows.

    Args:
        store: URI of the feedback store.
        run_id: Run that the snapshot belongs to.
        feedback: Snapshot document (`flywheel.snapshot/v1`) that names the table versions.

    Returns:
        Interactions in the snapshot, rows.
    """
    from flywheel.components.contracts.tables import FeedbackSnapshot
    from flywheel.components.store import delta_table

    interactions = delta_table.latest(store, "interactions")
    snapshot = FeedbackSnapshot(interactions=interactions, feedback=delta_table.latest(store, "feedback"))
    snapshot.write(feedback.path)
    feedback.metadata.update(interactions=interactions.version, feedback=snapshot.feedback.version)
    return delta_table.read(interactions, columns=["interaction_id"]).num_rows
