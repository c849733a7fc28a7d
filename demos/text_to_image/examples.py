"""The prompts offered in the tab; their words stand in words.toml in both languages. The first is the stored result."""

from dataclasses import dataclass

from demos.shell.words import say


@dataclass(frozen=True)
class Example:
    """id: its name in links. seed: one that a picture was looked at with."""

    id: str
    seed: int = 0

    @property
    def key(self) -> str:
        return f"text_to_image.example_{self.id}"

    def prompt(self, lang: str) -> str:
        """The prompt in this language."""
        return say(self.key, lang)


OFFERED = (
    Example("book", 2),
    Example("potion", 2),
    Example("face", 2),
    Example("heart", 3),
    Example("sword", 6),
    Example("car", 3),
)


def find(name: str) -> Example | None:
    """The example of this id."""
    return next((example for example in OFFERED if example.id == name), None)
