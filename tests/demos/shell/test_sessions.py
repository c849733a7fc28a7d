"""The store with a clock that the test moves."""

import threading
from types import SimpleNamespace

import pytest

from demos.shell import sessions
from demos.shell.sessions import Store


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(clock):
    return Store(budget_bytes=100, time_to_live_s=60.0, clock=clock)


def test_a_session_gets_back_what_it_put_and_nobody_else_does(store):
    store.put("a", "x", "of a", 10)
    store.put("b", "x", "of b", 10)
    assert (store.get("a", "x"), store.get("b", "x"), store.get("c", "x")) == ("of a", "of b", None)


def test_the_least_recently_used_goes_first(store):
    for name in "xyz":
        store.put("a", name, name, 30)
    assert store.get("a", "x") == "x"
    store.put("b", "w", "w", 40)
    assert [store.get("a", name) for name in "xyz"] == ["x", None, "z"]
    assert store.nbytes == 100


def test_the_same_key_counts_once(store):
    for value in range(50):
        store.put("a", "x", value, 90)
    assert store.get("a", "x") == 49
    assert store.nbytes == 90


def test_what_is_larger_than_the_budget_is_not_kept_and_costs_nobody_anything(store):
    store.put("a", "x", 1, 60)
    assert store.put("b", "y", 2, 101) is False
    assert (store.get("a", "x"), store.get("b", "y")) == (1, None)
    assert store.put("a", "x", 3, 101) is False
    assert store.get("a", "x") is None  # the old value of the key would be wrong by now


def test_time_to_live_counts_from_the_last_use(store, clock):
    store.put("a", "x", 1, 10)
    store.put("a", "y", 2, 10)
    clock.now += 50
    assert store.get("a", "x") == 1
    clock.now += 50
    assert (store.get("a", "x"), store.get("a", "y")) == (1, None)
    assert store.nbytes == 10


def test_a_session_that_ends_frees_its_values_and_files(store, tmp_path, monkeypatch):
    monkeypatch.setattr(sessions, "cache", lambda: tmp_path)
    store.put("a", "x", 1, 10)
    store.put("b", "x", 2, 10)
    kept = store.folder("b")
    (store.folder("a") / "f.bin").write_bytes(b"1")
    store.forget("a")
    assert (store.get("a", "x"), store.get("b", "x"), store.nbytes) == (None, 2, 10)
    assert list(tmp_path.iterdir()) == [kept]
    store.forget("a")


def test_a_folder_is_stable_unguessable_and_ends_with_its_time(store, clock, tmp_path, monkeypatch):
    monkeypatch.setattr(sessions, "cache", lambda: tmp_path)
    folder = store.folder("a")
    assert store.folder("a") == folder != store.folder("b")
    assert len(folder.name) > 32 and folder.name != "a"
    clock.now += 61
    assert store.folder("b").is_dir()
    assert not folder.exists()


def test_a_folder_that_was_wiped_comes_back(store, tmp_path, monkeypatch):
    monkeypatch.setattr(sessions, "cache", lambda: tmp_path / "gone")
    folder = store.folder("a")
    folder.rmdir()
    assert store.folder("a").is_dir()


def test_many_threads_stay_within_the_budget(store):
    def work(n):
        for i in range(200):
            store.put(f"s{n}", f"k{i % 5}", i, 9)
            store.get(f"s{n}", f"k{i % 3}")
            assert store.nbytes <= 100

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert 0 < store.nbytes <= 100


def test_a_call_without_a_session_is_on_its_own():
    first, second = (sessions.of(SimpleNamespace(session_hash=None)) for _ in range(2))
    first.put("x", 1, 1)
    assert first.get("x") == 1
    assert second.get("x") is None


def test_own_files_are_told_by_their_resolved_place(tmp_path, monkeypatch):
    monkeypatch.setattr(sessions, "cache", lambda: tmp_path / "cache")
    (tmp_path / "cache").mkdir()
    inside, outside = tmp_path / "cache" / "a.png", tmp_path / "b.png"
    for path in (inside, outside):
        path.write_bytes(b"")
    link = tmp_path / "cache" / "c.png"
    link.symlink_to(outside)
    assert sessions.is_own_file(inside)
    assert not any(map(sessions.is_own_file, (outside, link, inside.parent / ".." / "b.png", "/etc/passwd")))
