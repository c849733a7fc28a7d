import numpy as np

from pipelines.zero_shot.textcache import TextCache


def test_the_least_recently_used_leaves_first():
    cache = TextCache(most_bytes=3 * 40)
    for text in "abc":
        cache.put(text, np.zeros(10, dtype=np.float32))
    cache.get("a")
    cache.put("d", np.ones(10, dtype=np.float32))
    assert [text for text in "abcd" if cache.get(text) is not None] == ["a", "c", "d"]


def test_a_text_put_twice_counts_once():
    cache = TextCache(most_bytes=2 * 40)
    for _ in range(5):
        cache.put("a", np.zeros(10, dtype=np.float32))
    cache.put("b", np.zeros(10, dtype=np.float32))
    assert len(cache) == 2
