"""The registry: one line a tab. Modules are named by string, so that the shell imports no tab."""

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

PARCELS = ("picture", "mask", "prompt", "skeleton")


@dataclass(frozen=True)
class TabSpec:
    """A tab: its name in addresses and words, its chapter, its module, and the parcels that it takes."""

    id: str
    chapter: str
    module: str
    takes: tuple[str, ...] = ()

    def __post_init__(self):
        if unknown := set(self.takes) - set(PARCELS):
            raise ValueError(f"{self.id} takes unknown parcels {sorted(unknown)}; there are {PARCELS}")

    @property
    def title(self) -> str:
        return f"{self.id}.title"

    def load(self) -> ModuleType:
        return import_module(self.module)


TABS = (
    # in the order of the page; a line a tab
    TabSpec(id="zero_shot", chapter="models", module="demos.zero_shot.tab", takes=("picture",)),
    TabSpec(
        id="text_to_image",
        chapter="models",
        module="demos.text_to_image.tab",
        takes=("prompt", "picture", "mask"),
    ),
    TabSpec(id="segment", chapter="models", module="demos.segment.tab", takes=("picture",)),
    TabSpec(id="tokenise", chapter="models", module="demos.tokenise.tab", takes=("picture",)),
)


def find(name: str) -> TabSpec:
    """The tab of that name; a KeyError if there is none."""
    return {spec.id: spec for spec in TABS}[name]


def shown(only: str | None = None) -> tuple[TabSpec, ...]:
    """All tabs in order, or the one that `--only` names."""
    return (find(only),) if only else TABS
