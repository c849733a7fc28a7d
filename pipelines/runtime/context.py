"""The running app's models, device and memory in one place; the only state of ``pipelines``."""

import importlib
import importlib.metadata
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from pipelines.runtime import device, hub, local, manifest, weights
from pipelines.runtime.catalogue import MODELS, Availability, Bundled, Catalogue, Entry, Hub, Web, read_catalogue
from pipelines.runtime.errors import UserError
from pipelines.runtime.memory import ModelMemory, is_out_of_memory
from pipelines.runtime.turns import Turns

MODES = ("auto", "bundled", "full")


@dataclass(frozen=True)
class Settings:
    """What the operator chose. device: auto, cpu, cuda or mps. models: auto, bundled or full."""

    device: str = "auto"
    models: str = "auto"
    models_dir: Path | None = None
    memory_gib: float = 4.0


@dataclass(frozen=True)
class Choice:
    """The model a topic starts with, and why."""

    entry: Entry
    reason_key: str
    reason_values: dict[str, Any] = field(default_factory=dict)


class Runtime:
    """Catalogue, device, turns and loaded models under one set of settings.

    Making one imports no model library and touches no device; the first use of ``placement`` does.
    """

    def __init__(self, settings: Settings, *, catalogue: Catalogue | None = None, models: Path = MODELS):
        if settings.models not in MODES:
            raise UserError("errors.models_unknown", models=str(settings.models)[:40], choices=", ".join(MODES))
        if settings.device not in device.DEVICES:
            raise UserError("errors.device_unknown", device=settings.device[:40], choices=", ".join(device.DEVICES))
        self.settings = settings
        self.turns = Turns()
        self.memory = ModelMemory(int(settings.memory_gib * 1024**3))
        self._models = models
        self._base = catalogue or read_catalogue()
        self._guard = threading.Lock()

    @cached_property
    def placement(self) -> device.Placement:
        """Device and dtype with their reason; decided once."""
        return device.place(self.settings.device)

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue's entries, then what lies in the models folder now."""
        listed = tuple(one.entry for one in self._local())
        return Catalogue(self._base.entries + listed, self._base.published)

    def availability(self, entry: Entry) -> Availability:
        """Whether a model can be used now; reads files and their hashes, asks no network."""
        missing = _missing_package(entry.packages)
        if missing:
            return Availability("missing", "errors.available_no_package", {"package": missing})
        match entry.source:
            case Bundled() as source:
                return self._bundled(source, entry.weights.name)
            case Hub() | Web():
                found = hub.present(entry, models_dir=self.settings.models_dir)
                if found is not None and entry.origin == "web":
                    return Availability("ready", "errors.available_file", {"name": found.weights.name})
                if found is not None:
                    commit = (hub.commit_of(found) or "?")[:12]
                    return Availability("ready", "errors.available_present", {"commit": commit})
                size = {"size_mb": f"{entry.bytes / 1e6:,.0f}"}
                return Availability("download", "errors.available_download", size, entry.bytes)
        listed = next((one for one in self._local() if one.entry.id == entry.id), None)
        return listed.availability if listed else Availability("missing", "errors.local_gone")

    def choose(self, topic: str, role: str = "main") -> Choice:
        """The model that a topic starts with, by the operator's setting and by what is on this machine.

        Never downloads. Raises UserError when not one model of this topic and role can be used.
        """
        entries = self.catalogue.of_topic(topic, role=role)
        bundled = self._first_ready(entry for entry in entries if entry.origin == "bundled")
        mode = self.settings.models
        full = None
        if mode != "bundled" or bundled is None:
            full = self._first_ready(entry for entry in entries if entry.origin != "bundled")
        if bundled is None and full is None:
            raise UserError("errors.no_model_ready", topic=topic)
        if bundled is None:
            return Choice(full, "errors.chosen_bundled_broken", {"title": full.title})
        if mode == "bundled":
            return Choice(bundled, "errors.chosen_bundled_asked")
        if full is None:
            return Choice(bundled, "errors.chosen_full_absent" if mode == "full" else "errors.chosen_bundled_only")
        if mode == "full":
            return Choice(full, "errors.chosen_full_asked")
        if self.placement.device == "cpu":
            return Choice(bundled, "errors.chosen_bundled_no_gpu", {"title": full.title})
        return Choice(full, "errors.chosen_full_gpu")

    def load(self, model_id: str) -> Any:
        """The loaded model of this id: what its loader returns. Loaded once, kept within the memory budget.

        Raises UserError for an unknown id, a model that has not been downloaded, a file that is missing, altered or
        does not fit, and for want of memory.
        """
        entry = self.catalogue.find(model_id)
        availability = self.availability(entry)
        if availability.state == "download":
            raise UserError("errors.model_not_here", title=entry.title, **availability.values)
        if availability.state == "missing":
            raise UserError(availability.reason_key, **availability.values)
        entry = self.resolve(entry)
        placement = self.placement
        return self.memory.get(
            (entry.id, placement.device, placement.dtype),
            lambda: self._load(entry, placement),
            expected_bytes=entry.memory_bytes // (1 if placement.dtype == "float32" else 2),
            stamp=_stamp(entry),
        )

    def resolve(self, entry: Entry) -> Entry:
        """The entry with ``folder`` and ``weights`` set to where its files lie now."""
        match entry.source:
            case Bundled(folder=folder):
                path = self._models / folder
                return replace(entry, folder=path, weights=path / entry.weights.name)
            case Hub() | Web():
                found = hub.present(entry, models_dir=self.settings.models_dir)
                if found is None:
                    raise UserError("errors.model_not_here", title=entry.title, size_mb=f"{entry.bytes / 1e6:,.0f}")
                return found
        return entry

    def download(self, model_id: str) -> Iterator[hub.Progress]:
        """Download a model that the catalogue names; a visitor's click starts it, nothing else does."""
        entry = self._base.find(model_id)
        if not isinstance(entry.source, Hub | Web):
            raise UserError("errors.model_unknown", model=str(model_id)[:60])
        return hub.download(entry)

    def _load(self, entry: Entry, placement: device.Placement) -> Any:
        if isinstance(entry.source, Hub | Web):
            _check_hashes(entry)
        loader = _loader(entry.loader)
        try:
            try:
                return loader(entry, placement)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
            # Outside of the handler, so that the failed load's tensors are not held by its trace.
            self.memory.clear()
            return loader(entry, placement)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            self.memory.clear()
            raise UserError("errors.model_out_of_memory", title=entry.title, device=placement.device) from None

    def _bundled(self, source: Bundled, weights_name: str) -> Availability:
        try:
            manifest.check_folder(source.folder, models=self._models, needed=(weights_name,))
            for folder in source.needs:
                manifest.check_folder(folder, models=self._models)
        except UserError as error:
            return Availability("missing", error.key, error.values)
        return Availability("ready", "errors.available_bundled")

    def _first_ready(self, entries) -> Entry | None:
        return next((entry for entry in entries if self.availability(entry).state == "ready"), None)

    def _local(self) -> tuple[local.Listed, ...]:
        entries = self._base.entries
        published = (entry.source.name for entry in entries if isinstance(entry.source, Web))
        return local.list_folder(self.settings.models_dir, skip=(*(entry.id for entry in entries), *published))


def _check_hashes(entry: Entry) -> None:
    """Compare what lies here with the hashes that sources show; of a choice of files, the one that is here."""
    for name, expected in entry.source.known_hashes.items():
        if (entry.folder / name).is_file():
            weights.check_sha256(entry.folder / name, expected)


def _loader(name: str) -> Callable[[Entry, device.Placement], Any]:
    """ "package.module:function" of the catalogue."""
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


@cache
def _missing_package(packages: tuple[str, ...]) -> str | None:
    for package in packages:
        try:
            importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            return package
    return None


def _stamp(entry: Entry) -> tuple[tuple[int, int, int], ...]:
    """The state of the weights' files: another one means that a file was replaced."""
    found = (path.stat() for path in (entry.weights, *entry.weight_files))
    return tuple((status.st_ino, status.st_size, status.st_mtime_ns) for status in found)


_current: Runtime | None = None
_current_guard = threading.Lock()


def configure(settings: Settings) -> Runtime:
    """Set the app's runtime. Raises UserError for a wrong word in the settings."""
    global _current
    runtime = Runtime(settings)
    with _current_guard:
        _current = runtime
    return runtime


def current() -> Runtime:
    """The app's runtime; with default settings if none was configured."""
    global _current
    with _current_guard:
        if _current is None:
            _current = Runtime(Settings())
        return _current
