"""What a zip says of its size before anything of it is held: too much is refused by that alone.

A file of a few kilobytes can unpack to terabytes. The headers say it, and where they lie, no more
is unpacked than they announce. `announced_tables` does the same for Parquet.
"""

import zipfile

_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def read_member(archive: zipfile.ZipFile, name: str, size: int | None = None) -> bytes:
    """A member of a zip, or its first `size` bytes: never more than the zip announces of it.

    Raises: ValueError where it is packed in a way that can only be unpacked as a whole.
    """
    info = archive.getinfo(name)
    if info.compress_type not in _PACKED:
        raise ValueError("packed with bzip2 or LZMA, which is not read: pack it as usual (deflate)")
    with archive.open(info) as file:
        return file.read(info.file_size if size is None else min(size, info.file_size))
