"""Finding the cluster: the pod's own service account, or a kubeconfig."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flywheel.components.cluster.client import Cluster
from flywheel.components.cluster.errors import NoClusterError
from flywheel.components.cluster.patience import Patience

_OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def connect(namespace: str = "", patience: Patience | None = None) -> Cluster:
    """Connect as the pod's service account, or with the kubeconfig (KUBECONFIG, `~/.kube/config`) outside of a pod.

    Credentials are read again whenever the server says that they have expired.

    Args:
        namespace: Namespace for requests that name none; "": the pod's own, or the kubeconfig context's.
        patience: How long requests are tried again; None: a minute.

    Raises:
        NoClusterError: Neither is there, or the kubeconfig cannot be used.
    """
    from kubernetes import client, config

    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        own = _OWN_NAMESPACE.read_text(encoding="utf-8").strip() if _OWN_NAMESPACE.is_file() else "default"
        load: Callable[..., None] = config.load_incluster_config
    else:
        own = _context_namespace()
        load = config.load_kube_config

    def open_client() -> Any:
        configuration = client.Configuration()
        configuration.retries = False  # ours alone: they know which answers may be asked for again
        try:
            load(client_configuration=configuration)
        except config.ConfigException as error:
            raise NoClusterError(_nothing(error)) from error
        return client.ApiClient(configuration)

    return Cluster(open_client, namespace or own, patience or Patience())


def _context_namespace() -> str:
    from kubernetes import config

    try:
        _, active = config.list_kube_config_contexts()
    except config.ConfigException as error:
        raise NoClusterError(_nothing(error)) from error
    return active["context"].get("namespace") or "default"


def _nothing(error: Exception) -> str:
    return (
        f"no Kubernetes cluster to talk to: {error}; run inside a pod with a service account token, or point "
        "KUBECONFIG at a kubeconfig with a current context"
    )
