"""One HTML file that opens offline: no script, no link, nothing to fetch, all text escaped."""

import base64
import io
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.image import imsave

_CSS = """:root{color-scheme:light dark;--page:#f4f5f7;--card:#fff;--ink:#1c2229;--soft:#5a636d;
--line:#e2e5e9;--link:#0b5394;--warn:#fdeee8;--head:#4a535d}*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);
font:16px/1.5 system-ui,"Segoe UI",Arial,sans-serif}
main{max-width:1160px;margin:auto;padding:24px 16px 56px}h2{font-size:20px;margin:0 0 12px}
h1{font-size:clamp(24px,4vw,34px);line-height:1.2;margin:8px 0 10px;overflow-wrap:anywhere}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;
padding:20px;margin-top:18px}
.note{color:var(--soft);font-size:14px;max-width:75ch;margin:0 0 12px}.scroll{overflow-x:auto}
.warn{background:var(--warn);border-left:4px solid #d9541e;padding:8px 12px;margin:0 0 14px}
.facts{display:flex;flex-wrap:wrap;gap:6px 28px;margin:0}
.facts dt{font-size:13px;color:var(--soft)}
.facts dd{margin:0;font-weight:600;overflow-wrap:anywhere}table{border-collapse:collapse}
th,td{padding:6px 0 6px 22px;text-align:right;border-bottom:1px solid var(--line)}
th,td{white-space:nowrap}
table{font-size:15px;font-variant-numeric:tabular-nums}td b{color:var(--link)}
th{color:var(--head);font-weight:600}tbody th{font-weight:400;color:var(--ink)}
small{color:var(--soft)}
th:first-child{text-align:left;padding-left:0}.text :is(td,th){text-align:left;font-size:13px}
.text td{white-space:normal;overflow-wrap:anywhere;min-width:9em}.text tbody{font-family:monospace}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,330px),1fr));gap:22px}
figure{margin:0;min-width:0}figcaption{font-weight:600;font-size:15px;overflow-wrap:anywhere}
svg{display:block;width:100%;height:auto}svg text{font-family:inherit!important}
.map{max-width:560px}.pair{display:flex;flex-wrap:wrap;gap:18px 40px;align-items:flex-start}
.pair>*{flex:1 1 400px;min-width:0}.pair>.scroll{flex:0 1 auto;min-width:min(100%,340px)}
.dots{max-width:540px}.wide{max-width:900px}.pair+.note,.pair+.legend{margin-top:14px}
.legend,.legend span{display:flex;flex-wrap:wrap;gap:2px 14px;font-size:13px}
.legend span{flex-wrap:nowrap;align-items:center;gap:6px;overflow-wrap:anywhere}
.legend i{width:11px;height:11px;border-radius:3px;flex:none}
img{image-rendering:pixelated;display:block;border-radius:3px;height:var(--side);outline-offset:1px}
.sheet{display:flex;flex-wrap:wrap;gap:14px 30px}.strip{display:flex;flex-wrap:wrap;gap:6px}
.first{margin-right:6px;outline:2px solid var(--ink)}.wrong img{outline:2px solid #d9541e}
.sheet+.note{margin-top:14px}audio{display:block;width:230px;height:36px}
.near{display:flex;gap:6px}.near figure:first-child{margin-right:12px}
.near small{display:block;font-size:12px;max-width:var(--side);overflow:hidden;text-align:center}
.near .wrong small{color:#d9541e;font-weight:600}details{margin-top:14px}
summary{cursor:pointer;color:var(--link)}details>div,details ul{margin-top:12px}
ul{color:var(--soft);font-size:14px;padding-left:20px}
.scroll{max-width:100%;-webkit-overflow-scrolling:touch}
@media(max-width:500px){body{font-size:18px}main{padding:12px 8px 40px}section{padding:14px 12px}
table,.note,ul,figcaption{font-size:16px}.text :is(td,th),.legend,.legend span{font-size:15px}
th,td{padding-left:12px}td small{font-size:14px}.facts dt,.near small{font-size:14px}
.scroll th:first-child{position:sticky;left:0;background:var(--card);padding-right:8px}
.pair>.scroll{min-width:0;flex-basis:100%}.wide{overflow-x:auto}.wide svg{min-width:640px}}
@media(prefers-color-scheme:dark){:root{--page:#14171b;--card:#1d2126;--ink:#e6e9ec;--soft:#a3acb5;
--line:#343a41;--link:#7db7ee;--warn:#43261a;--head:#b9c1c9}
svg,.legend i{filter:invert(.9) hue-rotate(180deg)}
svg image{filter:invert(.9) hue-rotate(180deg)}}"""


def write_page(path: Path, title: str, body: list[str]) -> Path:
    """Writes the sections of `body`, none for "", and returns the path.

    Raises: OSError that says what to do where it cannot be written.
    """
    # The page promises to be self-contained; the policy makes the browser hold it to that.
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:"
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_CSS}</style>"
    )
    main = "\n".join(filter(None, body))
    page = (
        f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body><main>\n{main}\n</main></body>'
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"{page}</html>\n".encode("utf-8", "replace"))
    except OSError as error:
        raise OSError(f"{path} cannot be written ({error.strerror}): name another --out") from error
    return path


def section(title: str, body: str) -> str:
    """A titled section; "" without a body."""
    return f"<section><h2>{title}</h2>\n{body}</section>" if body else ""


def text_table(head: list[str], rows: list) -> str:
    """A table of text, the first cell of a row as its head."""
    top = "".join(f"<th>{escape(x)}</th>" for x in head)
    lines = (
        f"<tr><th>{escape(name)}</th>{''.join(f'<td>{escape(x)}</td>' for x in cells)}</tr>"
        for name, *cells in rows
    )
    table = f"<thead><tr>{top}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f'<div class="scroll"><table class="text">{table}</table></div>'


def details_of(title: str, rows: list) -> str:
    """A table that opens on a click; "" without rows."""
    table = f"<details><summary>{title}</summary>{text_table([], rows)}</details>"
    return table if rows else ""


def grid_of(charts: Any) -> str:
    """Charts side by side; "" without any."""
    text = "".join(charts)
    return f'<div class="charts">{text}</div>' if text else ""


def legend_of(labels: list, colours: Any) -> str:
    """Names beside their colours."""
    entries = ((str(x), colours[i % len(colours)]) for i, x in enumerate(labels))
    spans = (f'<span><i style="background:{c}"></i>{escape(x)}</span>' for x, c in entries)
    return f'<div class="legend">{"".join(spans)}</div>'


def image_tag(image: np.ndarray, side: int, mark: str = "") -> str:
    """One image [H, W, C] or [H, W] as an <img>; floats are in [0, 1]."""
    x = image if image.ndim == 3 else image[..., None]
    if x.dtype != np.uint8:
        x = np.round(np.clip(np.nan_to_num(x), 0, 1) * 255).astype(np.uint8)
    x = x[..., :3] if x.shape[-1] >= 3 else np.repeat(x[..., :1], 3, axis=-1)
    step = max(1, min(x.shape[:2]) // (2 * side))  # twice the size on the page is enough
    stream = io.BytesIO()
    none: Any = {"Software": None}  # leaves the entry out; its type knows of text alone
    imsave(stream, x[::step, ::step], format="png", metadata=none)
    data = base64.b64encode(stream.getvalue()).decode()
    return f'<img {mark}alt="" src="data:image/png;base64,{data}">'


def side_of(height: int) -> int:
    """Pixels on the page: a whole multiple of tiny images, so that their pixels stay square."""
    return max(1, round(64 / height)) * height if height <= 64 else 96
