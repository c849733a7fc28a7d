"""Settings -> the lines of "Copy as Python", which print the very bars of the quarrel."""

from demos.zero_shot import examples
from demos.zero_shot.quarrel import Settings
from demos.zero_shot.question import Question

MOST_LINES = 20


def python(question: Question, settings: Settings, *, example: str, models: tuple[str, ...]) -> str:
    """At most 20 lines. Labels that are switched off are left out; an upload is named picture.jpg."""
    labels = tuple(label for i, label in enumerate(question.labels) if i not in settings.off) or question.labels
    known = examples.find(example)
    path = f"assets/examples/{known.path.name}" if known else "picture.jpg"
    crop = f"Crop({question.crop!r})" if question.box is None else f'Crop("box", {question.box!r})'
    temperature = f"{settings.temperature:g}"
    return f"""\
from pipelines.runtime import context
from pipelines.runtime.pictures import open_picture
from pipelines.zero_shot.classify import classify, read_out
from pipelines.zero_shot.preprocess import Crop

pixels = open_picture({path!r}).pixels  # (H, W, 3) uint8
labels = {labels!r}
templates = {question.templates!r}
temperature = {temperature}  # 1 is what training found
for model_id in {models!r}:
    model = context.current().load(model_id)
    result = classify(model, pixels, labels, templates=templates, crop={crop})
    scale = result.logit_scale / temperature
    bias = None if result.logit_bias is None else result.logit_bias / temperature
    softmax, sigmoid = read_out(result.cosines, logit_scale=scale, logit_bias=bias)
    bars = softmax if result.objective == "softmax" else sigmoid
    for label, bar in zip(labels, bars):
        print(f"{{model_id}}\\t{{label}}\\t{{bar:.4f}}")
"""
