""" "None of these" for one classification: the bank, the measured threshold, and the browser component's value."""

from demos.shell import jobs, models
from demos.zero_shot import refusal
from pipelines.runtime.errors import UserError


def measured(model_id: str):
    """What calibration measured for this model, or None."""
    from pipelines.zero_shot.calibration import CALIBRATION_FILE, load_calibration

    return load_calibration().get(model_id) if CALIBRATION_FILE.is_file() else None


def bank_is_ready(model_id: str) -> bool:
    """Whether the bank ships with the model, so that it need not be computed first."""
    from pipelines.zero_shot.background import SHIPPED

    return model_id in SHIPPED


def refusal_value(classification) -> dict | None:
    """The value of `refusal.Refusal`, or None where the bank would have to be computed or is missing."""
    from pipelines.zero_shot.background import load_bank

    if not bank_is_ready(classification.model_id):
        return None
    try:
        bank = load_bank(models.runtime().load(classification.model_id))
    except UserError:
        return None
    return value_with(classification, bank)


def value_with(classification, bank) -> dict:
    """The value of `refusal.Refusal` with this bank."""
    from pipelines.zero_shot.background import none_of_these

    result = none_of_these(classification, bank)
    known = measured(classification.model_id)
    return refusal.value(
        classification.labels,
        classification.cosines,
        percentiles=result.percentiles,
        bank_cosines=result.bank_cosines,
        measured=known.refusal if known else None,
    )


def plain(classification, threshold: float | None) -> dict:
    """The verdict as JSON can say it. threshold: None for the measured one."""
    from pipelines.zero_shot.background import none_of_these

    *_, step = bank_steps(classification.model_id)
    result, known = none_of_these(classification, step.bank), measured(classification.model_id)
    if threshold is None:
        threshold = known.refusal.chosen if known else refusal.DEFAULT_THRESHOLD
    order = result.percentiles.argsort()[::-1]
    return {
        "model": classification.model_id,
        "none_of_these": result.refuses(threshold),
        "threshold": threshold,
        "refuses_listed": known.refusal.refused_listed_at(threshold) if known else None,
        "catches_unlisted": known.refusal.caught_unlisted_at(threshold) if known else None,
        "percentiles": [
            {"label": classification.labels[i], "percentile": round(float(result.percentiles[i]), 4)} for i in order
        ],
    }


def bank_steps(model_id: str):
    """Read the bank's words with a model that ships none; yields `BankStep`, the device taken a step at a time."""
    from pipelines.zero_shot.background import bank_steps as steps

    yield from jobs.steps(steps(models.runtime().load(model_id)))
