"""Measures any model of the catalogue, as JSON.

    python -m training.evaluate zero_shot --pack FILE.zip [--language zh] [--model ID] [--labels FILE] [--split val]
    python -m training.evaluate segment --pack FILE.zip [--split val] [--objects 4] [--clicks 10] [--folder FOLDER]
    python -m training.evaluate tokenise --pack FILE.zip [--model vqgan|vqvae] [--perceptual FOLDER] [--folder FOLDER]
    python -m training.evaluate pose --pack FILE.zip [--split val] [--folder FOLDER]
    python -m training.evaluate text_to_image --prompts FILE --data FOLDER [--language zh] [--model ID] [--sheet FILE]

Each topic registers its measurement under its name.
"""

import argparse
import importlib
import json
import sys
from pathlib import Path

from pipelines.runtime.context import Settings, configure
from pipelines.runtime.errors import UserError

# Each has add_options(parser), load(runtime, options), whose result has an id, and evaluate(that, options).
# Only the module of the topic that is asked for is imported: the others may need packages that are not installed.
TOPICS = {
    "zero_shot": "training.evaluate_zero_shot",
    "text_to_image": "training.evaluate_text_to_image",
    "segment": "training.evaluate_segment",
    "tokenise": "training.evaluate_tokenise",
    "pose": "training.evaluate_pose",
}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Options: those of every topic, then the topic's own."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    topics = parser.add_subparsers(dest="topic", required=True)
    for name, module_name in TOPICS.items():
        topic = topics.add_parser(name)
        topic.add_argument("--model", help="a model of the catalogue; the topic's bundled one without it")
        topic.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
        topic.add_argument("--models-dir", type=Path, help="folder with models of your own")
        if name in arguments[:1]:
            importlib.import_module(module_name).add_options(topic)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    options = parse(arguments)
    topic = importlib.import_module(TOPICS[options.topic])
    runtime = configure(Settings(device=options.device, models="bundled", models_dir=options.models_dir))
    try:
        loaded = topic.load(runtime, options)
        figures = topic.evaluate(loaded, options)
    except UserError as error:
        raise SystemExit(str(error)) from error
    print(json.dumps({"model": loaded.id, **figures}, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
