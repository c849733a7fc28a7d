"""Make NotoSansSC-Bold-subset.otf, the font that types words onto pictures, from the full Noto Sans CJK.

    pip install fonttools
    python assets/fonts/subset.py /usr/share/fonts/opentype/noto/NotoSansCJK-Bold.ttc

The collection is Debian's package fonts-noto-cjk. Kept are printable Latin (Basic Latin, Latin-1)
and the signs and 6,763 Chinese characters of GB 2312; hints and layout tables are dropped. The result has 1.5 MB.
"""

import sys
from pathlib import Path

from fontTools import subset

RESULT = Path(__file__).with_name("NotoSansSC-Bold-subset.otf")
SIMPLIFIED_CHINESE = 2  # number of the face within the collection
DROPPED_TABLES = "vhea,vmtx,VORG,BASE,GPOS,GSUB,DSIG"


def gb2312(rows: range) -> str:
    """The characters in these rows of GB 2312."""
    codes = (bytes((0xA0 + row, 0xA0 + cell)) for row in rows for cell in range(1, 95))
    return "".join(code.decode("gb2312", errors="ignore") for code in codes)


def kept_characters() -> str:
    """All characters that the subset can draw."""
    latin = "".join(map(chr, (*range(0x20, 0x7F), *range(0xA0, 0x100))))
    signs, characters = gb2312(range(1, 4)), gb2312(range(16, 88))
    return latin + signs + characters


def main(collection: str) -> None:
    """Write the subset beside this file."""
    subset.main(
        [
            collection,
            f"--font-number={SIMPLIFIED_CHINESE}",
            f"--text={kept_characters()}",
            f"--output-file={RESULT}",
            "--no-hinting",
            "--layout-features=",
            "--name-IDs=*",
            f"--drop-tables+={DROPPED_TABLES}",
            "--no-recalc-timestamp",
        ]
    )


if __name__ == "__main__":
    main(sys.argv[1])
