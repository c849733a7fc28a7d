"""The models of a tab: checked, chosen and loaded; and the process's runtime, imported when first computing."""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass

from pipelines.runtime.errors import UserError


def runtime():
    """The process's runtime. Imported here, not above: the shell must open without any model library."""
    from pipelines.runtime import context

    return context.current()


def known(topic: str, model_id) -> str:
    """The id, if it is one of the topic's models or empty. Raises UserError."""
    if not isinstance(model_id, str):
        raise UserError("errors.model_unknown", model=str(model_id)[:60])
    if model_id and runtime().catalogue.find(model_id).topic != topic:
        raise UserError("shell.model_of_other_tab", model=model_id[:60])
    return model_id


def is_quick(model_id: str) -> bool:
    """Whether a model answers within a breath: a bundled one, or any on a GPU."""
    here = runtime()
    return here.catalogue.find(model_id).origin == "bundled" or here.placement.device != "cpu"


@dataclass(frozen=True)
class Models:
    """A tab's models. topic: theirs in the catalogue. pipeline: the module whose import brings the model libraries."""

    topic: str
    pipeline: str

    def known(self, model_id) -> str:
        """The id, if it is one of this tab's models or empty. Raises UserError."""
        return known(self.topic, model_id)

    def chosen(self, model_id) -> str:
        """The model of this id, or the app's choice if it is empty. Raises UserError."""
        return self.known(model_id) or runtime().choose(self.topic).entry.id

    def ready(self) -> None:
        """Import the pipeline, once and alone. Call it before the first import of anything below it."""
        _import_alone(self.pipeline)

    def load(self, model_id):
        """The loaded model of this id, or the app's choice if it is empty. Raises UserError."""
        self.ready()
        return runtime().load(self.chosen(model_id))


@functools.cache
def _import_alone(module: str) -> None:
    with runtime().memory.alone():
        importlib.import_module(module)
