"""Drawing packs of plain colours, for tests that read names or measure distances."""

import io
import json
import zipfile
from pathlib import Path

from PIL import Image

COLOURS = {
    "red thing": (255, 0, 0),
    "green thing": (0, 255, 0),
    "blue thing": (0, 0, 255),
    "grey thing": (128, 128, 128),
    "dark red thing": (128, 0, 0),
}
CHINESE = {
    "red thing": "红物",
    "green thing": "绿物",
    "blue thing": "蓝物",
    "grey thing": "灰物",
    "dark red thing": "暗红物",
}


def write_plain_pack(folder: Path, style: str, lines: list[tuple[str, str, str]]) -> None:
    """``emoji_STYLE.zip`` of (name, name of what is painted, split)."""
    index = []
    with zipfile.ZipFile(folder / f"emoji_{style}.zip", "w") as pack:
        for number, (name, painted, split) in enumerate(lines):
            content = io.BytesIO()
            Image.new("RGB", (128, 128), COLOURS[painted]).save(content, "PNG")
            pack.writestr(f"{number}.png", content.getvalue())
            line = {"file": f"{number}.png", "name": name, "name_zh": CHINESE[name], "style": style, "split": split}
            index.append(line | {"group": "objects", "family": name})
        pack.writestr("index.jsonl", "\n".join(json.dumps(line, ensure_ascii=False) for line in index))
