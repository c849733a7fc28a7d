"""Which second stage speaks the codes of which autoencoder; imports no model library."""

from pipelines.runtime.errors import UserError

# stage: (tokeniser of its codes, what reads texts for it: a CLIP, or itself)
SPEAKS = {
    "lucida-masked": ("lucida-vqgan", "lucida-clip"),
    "amused-256-masked": ("amused-256", "amused-256-masked"),
}


def stage_of(tokeniser: str) -> str:
    """Id of the second stage that speaks the codes of a tokeniser.

    Raises:
        UserError: ``errors.no_second_stage``.
    """
    for stage, (speaks, _reader) in SPEAKS.items():
        if speaks == tokeniser:
            return stage
    raise UserError("errors.no_second_stage")
