"""Cuts labelled objects out of the larger COCO pictures of the masks packs: a small test on sharp photographs.

    python -m training.sharp_proxy --data FOLDER --out runs/zero_shot/sharp_proxy.zip

Only pictures that no photo pack trains on; the training leaves them out of everything else too.
"""

import argparse
import io
import json
import zipfile
from collections import Counter
from pathlib import Path

from training.packs import PHOTO_PACKS, coco_id, open_picture, read_index
from training.words import Concept, concepts_of
from training.zero_shot_data import proxy_ids

SHORTEST_SIDE = 96  # of the object's longer side, in pixels of the pack's picture
CONTEXT = 0.08
NARROWEST = 0.62
MOST_OF_A_NAME = 12


def cut_box(box: list[int], width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a box x, y, w, h with its context, widened to at least 0.62 : 1."""
    x, y, w, h = box
    margin = CONTEXT * max(w, h)
    half_w = max(w / 2 + margin, NARROWEST * (h / 2 + margin))
    half_h = max(h / 2 + margin, NARROWEST * (w / 2 + margin))
    middle_x, middle_y = x + w / 2, y + h / 2
    return (
        max(0, round(middle_x - half_w)),
        max(0, round(middle_y - half_h)),
        min(width, round(middle_x + half_w)),
        min(height, round(middle_y + half_h)),
    )


def build(data: Path, out: Path) -> Counter:
    """Write the pack; returns how many pictures each name has."""
    concepts = {concept.en[0]: concept for concept in concepts_of(data, PHOTO_PACKS, "photo")}
    ids, counts, seen = proxy_ids(data), Counter(), set()
    with zipfile.ZipFile(out, "w") as target:
        lines = []
        for name in ("masks_objects", "masks_people"):
            with zipfile.ZipFile(data / f"{name}.zip") as pack:
                for line in read_index(data / f"{name}.zip"):
                    if coco_id(line["file"]) in ids - seen:
                        seen.add(coco_id(line["file"]))
                        lines += _cut_objects(pack, line, concepts, counts, target)
        target.writestr("index.jsonl", "\n".join(json.dumps(line, ensure_ascii=False) for line in lines))
    return counts


def _cut_objects(
    pack: zipfile.ZipFile, line: dict, concepts: dict[str, Concept], counts: Counter, target: zipfile.ZipFile
) -> list[dict]:
    picture, lines = open_picture(pack, line["file"]), []
    for thing in line["objects"]:
        concept = concepts.get(thing["label"])
        if concept is None or max(thing["box"][2:]) < SHORTEST_SIDE or counts[concept.en[0]] >= MOST_OF_A_NAME:
            continue
        counts[concept.en[0]] += 1
        file = f"{coco_id(line['file'])}_{len(lines)}.png"
        content = io.BytesIO()
        picture.crop(cut_box(thing["box"], *picture.size)).convert("RGB").save(content, "PNG")
        target.writestr(file, content.getvalue())
        names = {"label": concept.en[0], "label_zh": concept.zh[0], "synonyms": concept.en[1:]}
        lines.append({"file": file, **names, "synonyms_zh": concept.zh[1:], "split": "val", "source": line["file"]})
    return lines


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/zero_shot/sharp_proxy.zip"))
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    counts = build(options.data, options.out)
    print(f"{counts.total()} pictures of {len(counts)} names: {dict(counts.most_common())}")


if __name__ == "__main__":
    main()
