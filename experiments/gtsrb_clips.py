"""Tracks of traffic signs written as folders of frames, for clips: train/CLASS/TRACK/FRAME.jpg.

    python experiments/gtsrb_clips.py path/to/gtsrb path/to/clips

The data is a folder of Parquet files, train.parquet and test.parquet, whose pictures are called
CLASS/TRACK_FRAME; a track is 30 frames of one approach to a sign, and lies in one split alone. The
16 frames in its middle are written, as they are stored. Files that are there are not written again.
"""

import sys
from collections import defaultdict
from pathlib import Path, PurePosixPath

import pyarrow.parquet as pq

from ssljax.files import atomically

FRAMES = 16


def tracks(file: Path) -> dict[tuple[str, str], dict[int, bytes]]:
    """(class, track) -> the picture file of each frame by its number."""
    found: dict[tuple[str, str], dict[int, bytes]] = defaultdict(dict)
    for row in pq.read_table(file, columns=["img"]).to_pylist():
        name = PurePosixPath(row["img"]["path"])
        track, _, frame = name.stem.rpartition("_")
        if not track or not frame.isdecimal():
            raise ValueError(f"{file}: the picture {name} is not called CLASS/TRACK_FRAME")
        found[name.parent.name, track][int(frame)] = row["img"]["bytes"]
    return found


def main(source: Path, out: Path) -> None:
    """Writes the middle of all tracks of both splits."""
    for split in ("train", "test"):
        found = tracks(source / f"{split}.parquet")
        for (kind, track), frames in found.items():
            order = sorted(frames)
            first = max(0, (len(order) - FRAMES) // 2)
            for at in order[first : first + FRAMES]:
                path = out / split / kind / track / f"{at:05}.jpg"
                if not path.exists():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    atomically(path, lambda fresh, data=frames[at]: fresh.write_bytes(data))
        print(f"{split}: {len(found)} tracks")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("python experiments/gtsrb_clips.py FOLDER_OF_PARQUET FOLDER_OF_CLIPS")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
