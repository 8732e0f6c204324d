"""Folders: what a class is, links, hidden parts, and that everything left out is said."""

import logging
import os
import tracemalloc
import zipfile

import pytest
from tiny_pictures import contents, png

from ssljax.data import open_source
from ssljax.data.walk import find, layout


def tree(root, *names):
    for i, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(png(i))
    return root


def test_the_class_is_the_folder_below_the_split(tmp_path):
    names = ("cat/day/0.png", "cat/night/1.png", "dog/2.png", "dog/day/deep/3.png")
    source = open_source(f"folder:{tree(tmp_path / 'a', *names)}", split="train")
    assert source.classes == ("cat", "dog")
    assert contents(source) == [(0, 0), (1, 0), (2, 1), (3, 1)]
    names = ("train/cat/day/0.png", "train/dog/1.png", "val/dog/2.png")
    source = open_source(f"folder:{tree(tmp_path / 'b', *names)}", split="val")
    assert source.classes == ("cat", "dog") and contents(source) == [(2, 1)]


def test_links_are_followed_and_loops_are_not(tmp_path, caplog):
    root = tree(tmp_path / "root", "ant/0.png", "bee/1.png")
    far = tree(tmp_path / "far", "x/2.png", "y/3.png")
    os.symlink(far, root / "cow")
    os.symlink(far / "x" / "2.png", root / "ant" / "2.png")
    os.symlink(root, root / "bee" / "again")  # back to where one comes from
    os.symlink(tmp_path, root / "bee" / "above")
    os.symlink(tmp_path / "nothing", root / "ant" / "gone.png")
    source = open_source(f"folder:{root}", split="train")
    assert source.classes == ("ant", "bee", "cow") and len(source) == 5
    assert [source.key(i) for i in range(5)] == [
        *("ant/0.png", "ant/2.png", "bee/1.png", "cow/x/2.png", "cow/y/3.png"),
    ]  # fmt: skip
    assert "2 link(s) that lead back (bee/again, bee/above)" in caplog.text.replace(
        "bee/above, bee/again", "bee/again, bee/above"
    )
    assert "1 link(s) to nothing (ant/gone.png)" in caplog.text


HIDDEN = (
    *(".ipynb_checkpoints/0.png", "ant/.ipynb_checkpoints/0.png", "__MACOSX/ant/0.png"),
    *("ant/._0.png", "@eaDir/0.png", ".git/x/0.png"),
)


@pytest.mark.parametrize("zipped", [False, True])
def test_what_is_hidden_is_nothing_and_counted(tmp_path, caplog, zipped):
    place = root = tree(tmp_path / ".home", "ant/0.png", "bee/1.png", "bee/2.heic", *HIDDEN)
    if zipped:
        place = tmp_path / "a.zip"
        with zipfile.ZipFile(place, "w") as archive:
            for file in sorted(root.rglob("*")):
                archive.write(file, file.relative_to(root))
    (root / "empty").mkdir()
    with caplog.at_level(logging.WARNING, "ssljax"):
        source = open_source(f"folder:{place}", split="train")
    assert source.classes == ("ant", "bee") and contents(source) == [(0, 0), (1, 1)]
    assert "1 .heic (bee/2.heic)" in caplog.text and "6 hidden (" in caplog.text
    assert zipped or "1 folder(s) without images (empty)" in caplog.text
    assert caplog.text.count("not read") == 1


def test_zips_that_would_be_read_wrongly(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("ant\\0.png", png(0))
    with pytest.raises(ValueError, match="backslashes"):
        open_source(f"folder:{tmp_path}/a.zip", split="train")
    link = zipfile.ZipInfo("bee")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("ant/0.png", png(0))
        archive.writestr(link, "ant")
    found = find(f"{tmp_path}/b.zip", kind="folder", suffixes={".png"}, what="images")
    assert found.left == {"link(s) inside of a zip": ["bee"]}


def test_splits_inside_of_classes_are_refused():
    with pytest.raises(ValueError, match="splits test, train inside of the classes cat, dog"):
        layout(["cat/train/0.png", "cat/test/1.png", "dog/train/2.png"], "folder:x")


def test_a_member_that_announces_too_much_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("ssljax.data.folder.LARGEST_FILE", 2**20)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ant/0.png", bytes(2**21))
    source = open_source(f"folder:{tmp_path}/a.zip", split="train")
    with pytest.raises(ValueError, match=r"ant/0\.png: announces 0\.0 GiB"):
        source[0]


def test_names_that_are_no_text_are_refused_before_anything_is_read(tmp_path):
    tree(tmp_path / "a", "ant/0.png")
    (tmp_path / "a" / os.fsdecode(b"caf\xe9.txt")).touch()
    with pytest.raises(ValueError, match=r"1 name\(s\) are not UTF-8 \(caf\\udce9\.txt\)"):
        open_source(f"folder:{tmp_path}/a", split="train")


def test_test_pictures_without_class_folders_have_no_labels(tmp_path):
    tree(tmp_path, "train/ant/0.png", "train/bee/1.png", "test/2.png")
    train, test = (open_source(f"folder:{tmp_path}", split=s) for s in ("train", "test"))
    assert contents(train) == [(0, 0), (1, 1)] and contents(test) == [(2, None)]
    assert train.classes == test.classes == ("ant", "bee")


def test_a_folder_may_be_called_as_a_zip_and_members_may_begin_with_a_slash(tmp_path):
    tree(tmp_path / "a.zip", "ant/0.png", "bee/1.png")
    source = open_source(f"folder:{tmp_path}/a.zip", split="train")
    assert contents(source) == [(0, 0), (1, 1)]
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        for i, name in enumerate(("/ant/0.png", "../bee/1.png", "./cow/2.png")):
            archive.writestr(name, png(i))
    assert open_source(f"folder:{tmp_path}/b.zip", split="train").classes == ("ant", "bee", "cow")


def test_a_member_is_never_unpacked_beyond_what_it_announces(tmp_path):
    for kind in (zipfile.ZIP_LZMA, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(tmp_path / "a.zip", "w", kind) as archive:
            archive.writestr("ant/0.png", bytes(2**20))
        data = bytearray((tmp_path / "a.zip").read_bytes())
        at = data.index(b"PK\x01\x02") + 24  # its size, in the directory at the end
        data[at : at + 4] = (10).to_bytes(4, "little")
        (tmp_path / "a.zip").write_bytes(bytes(data))
        source = open_source(f"folder:{tmp_path}/a.zip", split="train")
        tracemalloc.start()
        with pytest.raises((ValueError, zipfile.BadZipFile)) as caught:
            source[0]
        assert tracemalloc.get_traced_memory()[1] < 2**19
        tracemalloc.stop()
        if kind == zipfile.ZIP_LZMA:
            assert "ant/0.png: packed with bzip2 or LZMA" in str(caught.value)
