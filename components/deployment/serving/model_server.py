"""Process entry of a model server (`python -m flywheel.components.deployment.serving.model_server --model-dir DIR`)."""

import argparse
import os
import sys


def arguments(argv: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="model_server", description=__doc__)
    parser.add_argument("--model-dir", required=True, help="model folder: safetensors, config, tokenizer")
    parser.add_argument("--model-name", required=True, help="name in the routes")
    parser.add_argument("--http-port", required=True, type=int, help="port")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; a pod listens on 0.0.0.0")
    parser.add_argument("--max-new-tokens", type=int, default=48, help="longest answer, tokens")
    parser.add_argument("--largest-batch", type=int, default=32, help="most requests in one forward pass")
    parser.add_argument("--batch-wait-ms", type=float, default=4.0, help="longest wait for company, milliseconds")
    parser.add_argument("--parent", type=int, default=0, help="die when this parent process dies; 0: never")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Load the model and serve it until SIGTERM.

    Returns:
        Exit code: 0 after a clean stop, 2 when the folder cannot be served (the reason is on stderr).
    """
    options = arguments(sys.argv[1:] if argv is None else argv)
    if options.parent:
        from flywheel.components.deployment.serving.parent_death import die_with_parent

        die_with_parent(options.parent)
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):  # before torch is imported
        os.environ.setdefault(variable, "1")
    os.environ.update(TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    sys.argv = sys.argv[:1]  # kserve.model_server parses sys.argv when it is imported

    from flywheel.components.deployment.serving.greedy_generation import GreedyModel
    from flywheel.components.training.weights import model_digest

    try:
        model = GreedyModel(options.model_dir, options.max_new_tokens)
        digest = model_digest(options.model_dir)
    except (FileNotFoundError, ValueError) as error:
        print(f"model_server: {error}", file=sys.stderr)
        return 2
    model.answer([[{"role": "user", "content": "warm-up"}]])  # lazy set-up happens before the first user waits

    from flywheel.components.deployment.serving.served_model import ServedModel, serve

    served = ServedModel(options.model_name, model, digest, options.largest_batch, options.batch_wait_ms / 1000)
    serve(served, options.http_port, options.host)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
