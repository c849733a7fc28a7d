"""The models of every topic: data from assets/models/catalogue.toml and from the operator's models folder."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from pipelines.runtime.errors import UserError

MODELS = Path(__file__).resolve().parents[2] / "assets" / "models"
ROLES = ("main", "twin", "second_stage", "detector", "preview")
PIPELINE = "model_index.json"  # the file that names the parts of a diffusers folder


@dataclass(frozen=True)
class Bundled:
    """Files in the repository. folder: below assets/models; needs: other folders there that it reads.

    weights: the safetensors file, or model_index.json for a diffusers folder, whose parts have files of their own.
    """

    folder: str
    needs: tuple[str, ...] = ()
    weights: str = "model.safetensors"


@dataclass(frozen=True)
class Hub:
    """Files in a repository of the Hugging Face Hub.

    revision: a pinned commit, or None where no source shows one; then the commit that was resolved is shown.
    weights: names of the safetensors file (or of a diffusers folder's model_index.json), the first that the
    repository has is taken. files: others it needs, by their paths; several names in one place are a choice like that
    of the weights. sha256: of the weights, where a source shows it; hashes: {file: SHA-256} of others.
    """

    repo: str
    revision: str | None
    weights: tuple[str, ...]
    files: tuple[str | tuple[str, ...], ...] = ()
    sha256: str | None = None
    hashes: Mapping[str, str] = field(default_factory=dict)

    @property
    def choices(self) -> tuple[tuple[str, ...], ...]:
        """For each file that is needed, the weights first, the names under which it may lie in the repository."""
        return (self.weights, *((name,) if isinstance(name, str) else name for name in self.files))

    @property
    def known_hashes(self) -> Mapping[str, str]:
        """{file: SHA-256} of all files whose hash a source shows."""
        return {**({name: self.sha256 for name in self.weights} if self.sha256 else {}), **self.hashes}


@dataclass(frozen=True)
class Web:
    """One file at the address where its authors publish it, told by its SHA-256.

    A pickle among them is one of the catalogue's ``published`` ones: only those are ever read.
    """

    url: str
    sha256: str

    @property
    def name(self) -> str:
        """The published name of the file."""
        return self.url.rsplit("/", 1)[-1]

    @property
    def known_hashes(self) -> Mapping[str, str]:
        """{file: SHA-256}."""
        return {self.name: self.sha256}


@dataclass(frozen=True)
class LocalFile:
    """A file (or a folder with open_clip_config.json) in the operator's models folder, by its name there."""

    name: str
    sha256: str | None = None


@dataclass(frozen=True)
class Figure:
    """A published figure. name: a key of the catalogue's [figures]. unit: of the value; none for a distance."""

    name: str
    value: float
    source: str
    title: dict[str, str] = field(default_factory=dict)
    unit: str = "%"

    @property
    def text(self) -> str:
        """ "66.6 %", "27.43 dB", "0.58"."""
        return f"{self.value:g} {self.unit}".strip()


@dataclass(frozen=True)
class Entry:
    """One model of the catalogue.

    bytes: to download or shipped, about. memory_bytes: in float32, about. image_size: pixels a side.
    folder: where its files lie on this machine, None until they do. weights: the safetensors file in it, or the
    model_index.json of a diffusers folder.
    """

    id: str
    topic: str
    role: str
    title: dict[str, str]
    source: Bundled | Hub | Web | LocalFile
    loader: str
    architecture: str
    pretrained: str | None
    licence: str
    parameters: int
    bytes: int
    memory_bytes: int
    image_size: int
    figures: tuple[Figure, ...] = ()
    packages: tuple[str, ...] = ()
    folder: Path | None = None
    weights: Path | None = None

    @property
    def weight_files(self) -> tuple[Path, ...]:
        """All files that hold its weights: several for a diffusers folder, or when a part is split."""
        if self.weights.name == PIPELINE:
            return tuple(sorted(self.folder.rglob("*.safetensors")))
        return (self.weights,)

    @property
    def origin(self) -> str:
        """ "bundled", "hub", "web" or "local"."""
        return {Bundled: "bundled", Hub: "hub", Web: "web", LocalFile: "local"}[type(self.source)]


@dataclass(frozen=True)
class Availability:
    """Whether a model can be used now. state: "ready", "download" (after a click) or "missing" (greyed out).

    bytes: what a download would fetch, about.
    """

    state: str
    reason_key: str
    values: dict[str, Any] = field(default_factory=dict)
    bytes: int = 0


@dataclass(frozen=True)
class Published:
    """A checkpoint published as a pickle: the only pickles that are ever read, told by their SHA-256."""

    name: str
    sha256: str
    source: str


@dataclass(frozen=True)
class Catalogue:
    """Entries in the order of the file: bundled first, then full-size ones in the order of preference."""

    entries: tuple[Entry, ...]
    published: tuple[Published, ...]

    def find(self, model_id: str) -> Entry:
        """The entry of this id. Raises UserError for an id that the catalogue does not list."""
        for entry in self.entries:
            if entry.id == model_id:
                return entry
        raise UserError("errors.model_unknown", model=str(model_id)[:60])

    def of_topic(self, topic: str, *, role: str | None = None) -> tuple[Entry, ...]:
        """The topic's entries, in order; only those of a role if one is named."""
        return tuple(e for e in self.entries if e.topic == topic and role in (None, e.role))


@cache
def read_catalogue(path: Path = MODELS / "catalogue.toml") -> Catalogue:
    """Read the catalogue file. Raises ValueError, naming the entry, where the file is wrong."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    titles = data["figures"]
    entries = tuple(_entry(item, titles, path.parent) for item in data["model"])
    ids = [entry.id for entry in entries]
    if len(set(ids)) != len(ids):
        raise ValueError(f"{path.name}: an id is given twice in {ids}")
    return Catalogue(entries, tuple(Published(**item) for item in data.get("published", ())))


def _entry(item: dict[str, Any], titles: dict[str, dict[str, str]], models: Path) -> Entry:
    item = dict(item)
    try:
        source = item["source"] = _source(item["source"])
        item["figures"] = tuple(_figure(figure, titles[figure["name"]]) for figure in item.get("figures", ()))
        item["packages"] = tuple(item.get("packages", ()))
        entry = Entry(**{"pretrained": None, **item})
    except (KeyError, TypeError) as error:
        raise ValueError(f"catalogue entry {item.get('id')!r}: {error}") from error
    if entry.role not in ROLES or set(entry.title) != {"en", "zh"}:
        raise ValueError(f"catalogue entry {entry.id!r}: role {entry.role!r}, title in {sorted(entry.title)}")
    if isinstance(source, Bundled):
        return in_folder(entry, models / source.folder, weights=source.weights)
    return entry


def _figure(item: dict[str, Any], title: dict[str, str]) -> Figure:
    unit = title.get("unit", "%")
    return Figure(**item, title={lang: text for lang, text in title.items() if lang != "unit"}, unit=unit)


def _source(item: dict[str, Any]) -> Bundled | Hub | Web:
    item = dict(item)
    kind = item.pop("kind")
    if kind == "bundled":
        return Bundled(**{**item, "needs": tuple(item.get("needs", ()))})
    if kind == "web":
        return Web(**item)
    if kind != "hub":
        raise KeyError(f"source kind {kind!r} is neither bundled nor hub nor web")
    item["weights"] = tuple(item["weights"])
    item["files"] = tuple(name if isinstance(name, str) else tuple(name) for name in item.get("files", ()))
    return Hub(**{"revision": None, **item})


def in_folder(entry: Entry, folder: Path, *, weights: str = "model.safetensors") -> Entry:
    """The entry with its files in this folder."""
    return replace(entry, folder=folder, weights=folder / weights)
