"""``python -m pipelines.tokenise.convert FILE.ckpt --out FOLDER``: a VQGAN of taming-transformers becomes a folder.

For the checkpoints of taming-transformers (f16 with 1,024 and 16,384 codes, and others) and of latent-diffusion (vq-f4,
vq-f8): FOLDER holds config.json and safetensors with the names of diffusers' VQModel. A checkpoint is a pickle, and a
pickle is a program: this command reads it in a process of its own, with ``weights_only=True``; run it on files that you
trust. What belonged to the training (``loss.*``, optimisers, callbacks) is left out; anything else must fit.
"""

import argparse
import os
import sys
from pathlib import Path

from pipelines.runtime.convert import read_tensors
from pipelines.runtime.device import CPU
from pipelines.runtime.errors import UserError
from pipelines.runtime.weights import read_safetensors


def convert(source: Path, target: Path):
    """Write the folder; returns the model (``models.TokeniseModel``).

    Args:
        source: a pickled checkpoint, or the same tensors in safetensors.
        target: a new folder.

    Raises:
        ValueError, UserError: the source holds other things than tensors, or not all of a VQGAN and nothing else.
    """
    if target.exists():
        raise ValueError(f"{target.name}: the result must be a new folder")
    state = read_safetensors(source) if source.suffix == ".safetensors" else read_tensors(source)
    from pipelines.tokenise import models, taming

    config, state = taming.convert(state, name=source.name)
    model = models.wrap(target.name, config, state, placement=CPU, name=source.name)
    part = target.with_name(f"{target.name}.part")
    model.module.save_pretrained(part)
    os.replace(part, target)
    return model


def main() -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description="Convert a VQGAN checkpoint to a folder that the app loads.")
    parser.add_argument("file", type=Path, help="the checkpoint; only one whose origin you trust")
    parser.add_argument("--out", type=Path, required=True, help="the new folder; put it into the models folder")
    arguments = parser.parse_args()
    try:
        model = convert(arguments.file, arguments.out)
    except (ValueError, OSError, UserError) as error:
        print(f"not converted: {error}", file=sys.stderr)
        return 1
    print(f"{arguments.out.name}: {model.codes:,} codes, a token covers {model.cell} x {model.cell} pixels")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
