import json
from dataclasses import dataclass

from training.report import command, write_record


@dataclass(frozen=True)
class Some:
    rate: float = 0.5


def test_a_command_shows_no_path_of_the_machine():
    said = command(
        ["/home/me/training/text_to_image.py", "--data", "/home/me/packs", "--start", "assets/clip", "--batch", "4"]
    )
    assert said == "python -m training.text_to_image --data FOLDER --start assets/clip --batch 4"


def test_a_record_says_what_was_run(tmp_path):
    write_record(tmp_path, {"training": Some()}, {"psnr_db": 28.5})
    record = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert record["settings"] == {"training": {"rate": 0.5}}
    assert record["figures"] == {"psnr_db": 28.5}
    assert record["command"].startswith("python -m training.")
    assert record["versions"]["torch"]
