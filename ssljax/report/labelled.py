"""Labels that a person can look at, of the arrays in report.npz of a self-training run."""

from html import escape

import numpy as np

from ssljax.report.page import image_tag, side_of, text_table


def drawn(arrays: dict[str, np.ndarray]) -> str:
    """Labels drawn beside the truth, from the surest to the least sure."""
    if "drawn" not in arrays:
        return ""
    pictures, height, strips = arrays["drawn"], arrays["drawn"].shape[2], []
    side = max(1, round(160 / height)) * height if height <= 160 else 160
    for row, note in zip(pictures, arrays["drawn_notes"], strict=True):
        cells = (
            f"<figure>{image_tag(x, side)}<small>{escape(str(title))}</small></figure>"
            for x, title in zip(row, arrays["drawn_titles"], strict=True)
        )
        strips.append(
            f'<div><p class="note">{escape(str(note))}</p><div class="strip near">{"".join(cells)}'
            "</div></div>"
        )
    return f'<div class="sheet" style="--side:{side}px">{"".join(strips)}</div>'


def told(arrays: dict[str, np.ndarray]) -> str:
    """Labels that are read beside the truth, from the surest to the least sure."""
    if "told" not in arrays:
        return ""
    head = ["example", "confidence", "text", "label", "truth"]
    full = [k for k in range(5) if k < 1 or any(row[k] for row in arrays["told"])]
    rows = [[str(row[k]) for k in full] for row in arrays["told"]]
    return text_table([head[k] for k in full], rows)


def mistakes(arrays: dict[str, np.ndarray]) -> str:
    """The most confident labels that are wrong, as pictures, texts or rows."""
    rows = arrays.get("mistakes")
    if rows is None or not len(rows):
        return ""
    cells = []
    for i, label, truth, confidence in rows.tolist():
        if not isinstance(label, str):  # older runs wrote numbers of classes
            label, truth = arrays["names"][int(label)], arrays["names"][int(truth)]
        cells.append(
            (f"number {int(i)}", f"labelled {label}", f"is {truth}", f"{float(confidence):.3f}")
        )
    if "texts" in arrays:
        rows = [[*words, str(x)] for words, x in zip(cells, arrays["texts"], strict=True)]
        return text_table(["example", "label", "truth", "confidence", "text"], rows)
    if "images" not in arrays:
        return text_table(["example", "label", "truth", "confidence"], list(map(list, cells)))
    images = arrays["images"]
    side = side_of(images.shape[1])
    tags = (
        f'<figure class="wrong">{image_tag(x, side)}<small>{escape(y)}, {escape(t)}<br>{c}'
        "</small></figure>"
        for x, (_, y, t, c) in zip(images, cells, strict=True)
    )
    return f'<div class="sheet" style="--side:{side}px">{"".join(tags)}</div>'
