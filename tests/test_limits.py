"""Bad input through the real HTTP API of the running app: a sentence or a right answer, and the app lives.

The cases are named after what they try; the page's own handling of them is tested in tests/browser.
"""

import base64
import math
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from tests import odd_pictures as odd
from tests.conftest import REPO, running
from tests.over_http import Visitor, check_sentence, file_named

NAN, INFINITE = math.nan, math.inf


@pytest.fixture(scope="module")
def visitor(app_server):
    """Somebody who sends everything below; afterwards a good question must get the answer that it got before."""
    somebody = Visitor(app_server.url)
    picture = somebody.upload(odd.plain())
    before = probabilities(somebody.ask(picture))
    yield somebody
    assert probabilities(somebody.ask(picture)) == before


@pytest.fixture(scope="module")
def cat(visitor):
    return visitor.upload(odd.plain())


@pytest.fixture(scope="module")
def good(visitor, cat):
    """What the plain picture gets."""
    return probabilities(visitor.ask(cat))


def probabilities(answer) -> list[list[float]]:
    assert not answer.refused, answer.sentence
    return [answer.values[0][half]["probabilities"] for half in ("softmax", "sigmoid")]


def labels_of(answer) -> list[str]:
    assert not answer.refused, answer.sentence
    return [item["label"] for item in answer.values[0]["labels"]]


# --- I: pictures ---


@pytest.mark.parametrize("case", odd.CASES, ids=lambda case: case.name)
def test_a_picture(visitor, case):
    answer = visitor.ask(visitor.upload(case.make(), case.file))
    if answer.refused:
        assert case.outcome != "answer", answer.sentence
        check_sentence(answer.sentence)
        assert case.says in answer.sentence
    else:
        assert case.outcome != "refuse"
        assert sum(probabilities(answer)[0]) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", ["I12_animated_gif", "I13_pages", "I09_palette_with_transparency", "I07_float_tiff"])
def test_what_was_done_to_a_picture_is_said(visitor, name):
    case = next(case for case in odd.CASES if case.name == name)
    notes = visitor.ask(visitor.upload(case.make(), case.file), lang="zh").values[0]["notes"]
    assert len(notes) == 1
    check_sentence(notes[0], "zh")


def twins():
    yield "I06_16_bit_grey", odd.grey(8), odd.grey(16)
    yield "I11_hidden_colours", odd.hidden_colours((255, 0, 0)), odd.hidden_colours((0, 0, 255))
    for orientation in range(2, 9):
        yield f"I14_orientation_{orientation}", odd.turned(1), odd.turned(orientation)


@pytest.mark.parametrize(("one", "other"), [pytest.param(a, b, id=name) for name, a, b in twins()])
def test_twins_get_the_same_numbers(visitor, one, other):
    answers = [probabilities(visitor.ask(visitor.upload(data))) for data in (one, other)]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("name", odd.NAMES)
def test_I24_a_name_does_not_matter(visitor, good, name):
    assert probabilities(visitor.ask(visitor.upload(odd.plain(), name))) == good


@pytest.mark.parametrize("path", [*odd.SERVER_PATHS, str(REPO / "app.py"), "a\0b", "x" * 10_000, "", "\ud800"])
@pytest.mark.parametrize("marked", [True, False], ids=["marked", "unmarked"])
def test_I25_files_of_the_server_are_not_read(visitor, path, marked):
    answer = visitor.ask(file_named(path) if marked else {"path": path})
    assert answer.refused
    if not marked:  # Gradio refuses a marked one before us, without a word
        check_sentence(answer.sentence)
    assert len(path) < 3 or path not in (answer.sentence or "")


def test_I26_addresses_are_not_fetched(visitor):
    asked_for = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self):
            asked_for.append(self.path)
            self.send_error(404)

    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for address in odd.ADDRESSES:
            url = address.format(port=server.server_port)
            for picture in (url, {"path": url}, file_named(url), {**file_named("x.png"), "url": url}):
                assert visitor.ask(picture).refused
        server.shutdown()
    assert asked_for == []


@pytest.mark.parametrize(
    "data", [odd.plain(), odd.one_bit_png(13_000), b"x" * (21 * 2**20)], ids=["good", "bomb", "big"]
)
def test_I27_data_addresses_do_not_pass_the_door(visitor, data):
    url = "data:image/png;base64," + base64.b64encode(data).decode()
    for picture in (url, {"path": url}):
        answer = visitor.ask(picture)
        assert answer.refused
        check_sentence(answer.sentence)


@pytest.mark.parametrize("thing", [None, "", {}, [], 7, True, [[0, 255]], {"path": None}, {"path": 7}, {"path": ["a"]}])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_I28_I30_things_that_are_no_picture(visitor, thing, lang):
    answer = visitor.ask(thing, lang=lang)
    assert answer.refused
    check_sentence(answer.sentence, lang)


def test_I29_a_guessed_path_of_another_visitor(visitor, cat):
    beside = cat["path"].rsplit("/", 1)[0][:-1] + "0/cat.png"
    answer = visitor.ask({"path": beside})
    assert answer.refused
    check_sentence(answer.sentence)


# --- V: values ---

NO_TEXT = (None, 7, True, ["cat"], {"a": 1}, NAN)


@pytest.mark.parametrize("value", NO_TEXT, ids=repr)
@pytest.mark.parametrize("field", ["labels", "templates", "model", "crop"])
def test_V02_V03_something_else_in_place_of_a_text(visitor, cat, field, value):
    answer = visitor.ask(cat, **{field: value})
    assert answer.refused
    check_sentence(answer.sentence)


@pytest.mark.parametrize("lang", [None, 7, ["zh"], {"a": 1}, "fr", "zh-CN", "<script>"], ids=repr)
def test_V09_a_forged_language_falls_to_english(visitor, cat, lang):
    check_sentence(visitor.ask(cat, labels="", lang=lang).sentence)


@pytest.mark.parametrize(
    "value", [NAN, INFINITE, -INFINITE, 1e308, -0.5, 1.5, "x", "", True, [0.5], {"a": 1}, None], ids=repr
)
def test_V01_a_threshold_that_is_no_share(visitor, cat, value):
    answer = visitor.call("zero_shot_none_of_these", cat, "cat, dog", value, "", "own", "en")
    assert answer.refused
    check_sentence(answer.sentence)


CROPS = (
    "nan,0,9,9",
    "inf,0,9,9",
    "0,0,1e999,9",
    "1,2,3",
    "1,2,3,4,5",
    "a,b,c,d",
    "50,50,50,90",
    "900,900,999,999",
    "own ",
    "9" * 300,
)


@pytest.mark.parametrize("crop", CROPS, ids=lambda crop: crop[:20])
def test_V09_a_crop_that_cannot_be(visitor, cat, crop):
    answer = visitor.ask(cat, crop=crop)
    assert answer.refused
    check_sentence(answer.sentence)


def test_G02_a_reversed_box_is_turned_and_a_large_one_cut(visitor, cat):
    straight = probabilities(visitor.ask(cat, crop="100,50,300,250"))
    assert probabilities(visitor.ask(cat, crop="300,250,100,50")) == straight
    assert probabilities(visitor.ask(cat, crop="-50,-50,9999,9999")) == probabilities(
        visitor.ask(cat, crop="0,0,451,300")
    )


@pytest.mark.parametrize(
    "model", ["nothing", "../../etc/passwd", "<b>x</b>", "x" * 10_000, "lucida-clip\0"], ids=lambda m: m[:20]
)
def test_V09_a_model_that_is_not_offered(visitor, cat, model):
    answer = visitor.ask(cat, model=model)
    assert answer.refused
    check_sentence(answer.sentence)


def test_V09_a_method_and_labels_that_are_not_offered(visitor, cat):
    for label, against, method in (
        ("cat", "", "magic"), ("cat", "", None), ("bird", "", "gradient"), ("cat", "cat", "gradient"),
        ("cat", "bird", "gradient"), (7, "", "gradient"), ("cat", 7, "gradient"),
    ):  # fmt: skip
        answer = visitor.call("zero_shot_evidence", cat, "cat, dog", label, against, method, "", "own", "en")
        assert answer.refused, (label, against, method)
        check_sentence(answer.sentence)


def test_V11_argument_lists_of_another_length(visitor, cat, good):
    assert visitor.call("zero_shot", cat).refused
    assert visitor.call("zero_shot").refused
    more = visitor.call("zero_shot", cat, "cat, dog", "", "", "own", "en", *range(1000))
    assert more.refused or probabilities(more) == good


# --- T: texts ---


def many(count: int) -> str:
    return ",".join(f"w{number}" for number in range(count))


@pytest.mark.parametrize(
    "labels",
    ["", "   ", ",，、；;,\n\n", "\u200b\u200d, \ufeff", "x" * 10_000_000, many(10_000), "w" * 100_000,
     many(1001), "w" * 101],
    ids=["empty", "spaces", "commas", "invisible", "10_MB", "10000_labels", "long_word", "1001_labels", "101_signs"],
)  # fmt: skip
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_T01_T03_labels_that_are_none_or_too_many(visitor, cat, labels, lang):
    answer = visitor.ask(cat, labels=labels, lang=lang)
    assert answer.refused
    check_sentence(answer.sentence, lang)


def test_T02_one_label_is_answered_with_a_note(visitor, cat):
    answer = visitor.ask(cat, labels="cat")
    assert probabilities(answer)[0] == [1.0]
    assert len(answer.values[0]["notes"]) == 1


AS_TYPED = (
    "نوافذ العالم", "👩‍👩‍👧‍👦 family", "Z̸̢̛a̵l̷g̶o̴", "<img src=x onerror=alert(1)>", "</script><svg/onload=alert(1)>",
    "[a](http://127.0.0.1/x.png)", "$\\frac{1}{2}$", "{{7*7}}", "{0.__class__}", "%s%n", "' DROP TABLE labels --",
    "$(rm -rf x)", "../../etc/passwd", "<s>", "</s>", "<pad>", "<unk>", "<|endoftext|>", "((((cat:1e999))))", "(" * 90,
)  # fmt: skip


@pytest.mark.parametrize("text", AS_TYPED)
def test_T06_to_T14_odd_texts_come_back_as_typed(visitor, cat, text):
    answer = visitor.ask(cat, labels=f"cat\n{text}")
    assert len(labels_of(answer)) == 2
    assert all(math.isfinite(p) for half in probabilities(answer) for p in half)
    assert labels_of(answer)[1] == text


def test_T05_signs_that_cannot_be_shown_are_removed(visitor, cat):
    assert labels_of(visitor.ask(cat, labels="c\0at\r\nd\x07og\u2028b\ud800ird")) == ["cat", "dog", "bird"]


def test_T10_T11_separators_and_duplicates(visitor, cat):
    answer = visitor.ask(cat, labels="cat，dog、bird；Cat\nfox;DOG")
    assert labels_of(answer) == ["cat", "dog", "bird", "fox"]
    assert "2" in answer.values[0]["notes"][0]


def test_T04_a_label_longer_than_the_model_reads(visitor, cat):
    assert all(map(math.isfinite, probabilities(visitor.ask(cat, labels="cat\n" + "猫头鹰" * 33))[0]))


TEMPLATES = (
    "no slot",
    "{} and {}",
    "{0}",
    "{0.__class__}",
    "{x}",
    "%s",
    "x" * 10_000 + "{}",
    "\n".join(f"{i} {{}}" for i in range(99)),
)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda text: text[:15])
def test_T09_a_template_needs_its_one_slot(visitor, cat, template):
    answer = visitor.ask(cat, templates=template)
    assert answer.refused
    check_sentence(answer.sentence)


def test_T09_other_braces_are_literal(visitor, cat):
    assert not visitor.ask(cat, templates="{0.__class__} %s {{7*7}} {}").refused


def test_a_label_of_braces_is_literal(visitor, cat):
    assert labels_of(visitor.ask(cat, labels="{}, {0}", templates="a photo of {}")) == ["{}", "{0}"]


# --- S: sessions and faults ---


def test_S01_two_visitors_each_get_their_own(app_server, visitor):
    pictures = [odd.plain(), (odd.PHOTO.parent / "bee.jpg").read_bytes()]
    alone = [probabilities(visitor.ask(visitor.upload(data))) for data in pictures]

    def many_times(number: int) -> list:
        somebody = Visitor(app_server.url)
        picture = somebody.upload(pictures[number % 2])
        return [probabilities(somebody.ask(picture)) for _ in range(3)]

    with ThreadPoolExecutor(4) as pool:
        for number, answers in enumerate(pool.map(many_times, range(4))):
            assert answers == [alone[number % 2]] * 3
    assert alone[0] != alone[1]


def test_S05_fifty_clients_at_once_all_get_an_end(app_server):
    small = odd.saved(odd.photo().resize((64, 64)), "PNG")

    def once(_number: int) -> bool:
        somebody = Visitor(app_server.url, timeout_s=120)
        answer = somebody.ask(somebody.upload(small))
        return not answer.refused or bool(answer.sentence)

    with ThreadPoolExecutor(50) as pool:
        assert all(pool.map(once, range(50)))


def test_S07_a_file_over_the_limit_is_not_taken(visitor, cat):
    answer = visitor.http.post("/upload", files={"files": ("cat.png", bytes(21 * 2**20))})
    assert answer.status_code == 413
    assert not visitor.ask(cat).refused


def test_S09_S10_no_home_and_a_wiped_temporary_folder(tmp_path):
    nowhere = {name: "/proc/nowhere" for name in ("HOME", "XDG_CACHE_HOME", "HF_HOME", "TORCH_HOME")}
    log = tmp_path / "log.txt"
    with running(REPO, log, "--models", "bundled", "--device", "cpu", **nowhere) as server:
        somebody = Visitor(server.url)
        picture = somebody.upload(odd.plain())
        before = probabilities(somebody.ask(picture))
        shutil.rmtree(tmp_path / "uploads")
        answer = somebody.ask({"path": picture["path"]})
        assert answer.refused
        check_sentence(answer.sentence)
        assert probabilities(somebody.ask(somebody.upload(odd.plain()))) == before


ROUTES = (
    "gradio_api/file=/etc/passwd", "gradio_api/file=app.py", "gradio_api/file=../app.py",
    "gradio_api/file=%2e%2e/app.py",
    "gradio_api/file=assets/models/manifest.sha256", "gradio_api/proxy=http://127.0.0.1:9/x", "static/../app.py",
    "static/%2e%2e/%2e%2e/app.py", "gradio_api/custom_component/x/y/z", "assets/../app.py",
    "gradio_api/heartbeat/../file=/etc/passwd", "gradio_api/stream/x/y/z", "nowhere",
)  # fmt: skip


@pytest.mark.parametrize("route", ROUTES)
def test_S22_routes_give_no_file_and_no_trace(app_server, route):
    answer = httpx.get(app_server.url + route, timeout=30)
    assert "root:" not in answer.text and "import " not in answer.text and "Traceback" not in answer.text
    assert answer.status_code >= 400 or "event: " in answer.text or "not_found" in answer.text.lower()


def test_S22_bad_requests_give_no_trace(app_server):
    url = app_server.url + "gradio_api/"
    answers = [
        httpx.post(url + "call/zero_shot", content=b"{bad", headers={"content-type": "application/json"}),
        httpx.post(url + "call/zero_shot", json=[1, 2]),
        httpx.post(url + "call/nothing", json={"data": []}),
        httpx.post(url + "queue/join", json={"data": [], "fn_index": 10**9, "session_hash": "x"}),
        httpx.post(url + "queue/join", json={"data": "x" * 1000, "fn_index": -1}),
        httpx.post(url + "upload", headers={"content-type": "multipart/form-data; boundary=" + "x" * 5000}),
        httpx.post(
            url + "component_server", json={"data": {"path": "/etc/passwd"}, "component_id": 1, "fn_name": "look"}
        ),
        httpx.get(url + "file=" + "x" * 20_000, headers={"range": "bytes=" + ",".join("0-1" for _ in range(3000))}),
    ]
    for answer in answers:
        assert answer.status_code >= 400, answer.url
        assert "Traceback" not in answer.text and str(REPO) not in answer.text
