"""Measures any model of the catalogue on a pack, as JSON.

    python -m training.evaluate zero_shot --pack FILE.zip [--language zh] [--model ID] [--labels FILE] [--split val]

Each topic registers its measurement under its name.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from pipelines.runtime.context import Settings, configure
from pipelines.runtime.errors import UserError
from training import evaluate_zero_shot

TOPICS: dict[str, tuple[Callable, Callable]] = {
    "zero_shot": (evaluate_zero_shot.add_options, evaluate_zero_shot.evaluate),
}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Options: those of every topic, then the topic's own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    topics = parser.add_subparsers(dest="topic", required=True)
    for name, (add_options, _) in TOPICS.items():
        topic = topics.add_parser(name, description=_.__doc__)
        topic.add_argument("--pack", type=Path, required=True, help="a zip with index.jsonl and pictures")
        topic.add_argument("--model", help="a model of the catalogue; the topic's bundled one without it")
        topic.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
        topic.add_argument("--models-dir", type=Path, help="folder with models of your own")
        add_options(topic)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    options = parse(arguments)
    runtime = configure(Settings(device=options.device, models="bundled", models_dir=options.models_dir))
    model_id = options.model or runtime.choose(options.topic).entry.id
    try:
        figures = TOPICS[options.topic][1](runtime.load(model_id), options)
    except UserError as error:
        raise SystemExit(str(error)) from error
    print(json.dumps({"model": model_id, **figures}, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
