"""Pictures: what a method makes of an image, attention, maps of features, neighbours.

The map is t-SNE (van der Maaten and Hinton 2008) of unit features after PCA: it shows which
examples are close to each other, not how far apart groups are.
"""

from html import escape

import matplotlib
import numpy as np
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from ssljax.report.charts import RC, svg_of
from ssljax.report.page import image_tag, legend_of, section, side_of

_READ = ("images", "features", "labels", "thumbnails", "attention", "attended")
_INVENTED = ("samples", "interpolations")  # pictures that are not made of the image beside them
_MAPPED = 1000  # points on a map


def picture_sections(arrays: dict[str, np.ndarray]) -> list[str]:
    """A section for each array of pictures that the method made, such as its views."""
    made = [k for k in arrays if k not in _READ and arrays[k].ndim in (4, 5)]
    return [
        section(
            escape(name.replace("_", " ").capitalize()),
            _sheet(arrays[name], None if name in _INVENTED else arrays.get("images")),
        )
        for name in made
    ]


def _sheet(pictures: np.ndarray, images: np.ndarray | None) -> str:
    """Rows of pictures [n, v, H, W, C] or [n, H, W, C], each behind the image it is made of."""
    pictures = pictures if pictures.ndim == 5 else pictures[:, None]
    side, strips = side_of(pictures.shape[2]), []
    if images is not None and len(images) != len(pictures):
        images = None
    for i, views in enumerate(pictures):
        first = "" if images is None else image_tag(images[i], side, 'class="first" ')
        strips.append(
            f'<div class="strip">{first}{"".join(image_tag(v, side) for v in views)}</div>'
        )
    note = "The original, outlined, and beside it what the method makes of it."
    note = f'<p class="note">{note}</p>' if images is not None else ""
    return f'{note}<div class="sheet" style="--side:{side}px">{"".join(strips)}</div>'


def attention_strips(arrays: dict[str, np.ndarray]) -> str:
    """Strips of an image, the mean of its attention maps, and each of them."""
    if "attention" not in arrays or "attended" not in arrays:
        return ""
    maps, images = arrays["attention"][:, :8], arrays["attended"]
    side = max(64, side_of(images.shape[1]))
    colours = matplotlib.colormaps["inferno"]
    strips = []
    for image, heads in zip(images, maps, strict=True):
        shown = [heads.mean(axis=0), *heads]
        low = [m.min() for m in shown]
        span = [max(float(np.ptp(m)), 1e-12) for m in shown]
        cells = [
            image_tag(colours((m - lo) / s)[..., :3], side)
            for m, lo, s in zip(shown, low, span, strict=True)
        ]
        first = image_tag(image, side, 'class="first" ')
        strips.append(f'<div class="strip">{first}{"".join(cells)}</div>')
    return (
        '<p class="note">Where the last block looks: the image, the mean over the heads, and each '
        "head. Bright patches get the most attention, each map on a scale of its own.</p>"
        f'<div class="sheet" style="--side:{side}px">{"".join(strips)}</div>'
    )


def feature_sections(arrays: dict[str, np.ndarray]) -> list[str]:
    """The sections that show `features`: the map, and nearest neighbours where there are images."""
    if "features" not in arrays:
        return []
    x = np.asarray(arrays["features"], np.float32)
    for name in ("labels", "thumbnails"):
        if x.ndim != 2 or len(arrays.get(name, x)) != len(x):
            raise ValueError(f"report.npz: features must be [N, D], with {name} of the same N")
    x = _unit(x)
    rows = np.flatnonzero(np.isfinite(x).all(axis=1))
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), _MAPPED)).astype(int)]
    x = x[rows]
    if len(x) < 5 or x.shape[1] < 2 or x.std(axis=0).max() < 1e-6:
        return []  # too few, or collapsed onto a point: nothing to show
    labels = arrays.get("labels")
    labels = labels[rows] if labels is not None and labels.ndim == 1 else None
    if "thumbnails" not in arrays:
        return [section("Map of the features", _maps({"": x}, labels))]
    images = arrays["thumbnails"][rows]
    pixels = _unit(images.reshape(len(images), -1).astype(np.float32))
    maps = _maps({"features": x, "raw pixels, for comparison": pixels}, labels)
    return [
        section("Map of the features", maps),
        section("Nearest neighbours", _neighbours(x, labels, images)),
    ]


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def _maps(spaces: dict[str, np.ndarray], labels: np.ndarray | None) -> str:
    """The same examples by t-SNE in one or several spaces, [N, D] each."""
    count = len(next(iter(spaces.values())))
    classes, index = np.unique(np.zeros(count) if labels is None else labels, return_inverse=True)
    name = "tab10" if len(classes) <= 10 else "tab20" if len(classes) <= 20 else "turbo"
    palette = matplotlib.colormaps[name].resampled(max(len(classes), 10))
    colours = [to_hex(palette(i)) for i in range(len(classes))]
    figures = "".join(
        f'<figure class="map"><figcaption>{escape(title)}</figcaption>'
        f"{_map(x, np.array(colours)[index])}</figure>"
        for title, x in spaces.items()
        if x.std(axis=0).max() > 1e-6
    )
    legend = legend_of(list(classes), colours) if labels is not None and len(classes) <= 20 else ""
    kind = "" if labels is None else f", coloured by label ({len(classes)} classes)"
    return (
        f'<p class="note">t-SNE of {count:,} examples{kind}. Close points have similar features; '
        f'distances between groups mean nothing.</p><div class="pair">{figures}</div>{legend}'
    )


def _map(x: np.ndarray, colours: np.ndarray) -> str:
    from sklearn.decomposition import PCA  # takes seconds
    from sklearn.manifold import TSNE

    reduced = PCA(min(50, *x.shape), random_state=0).fit_transform(x)
    perplexity = min(30, (len(x) - 1) / 3)
    method = "exact" if len(x) < 200 else "barnes_hut"
    tsne = TSNE(perplexity=perplexity, init="pca", random_state=0, max_iter=400, method=method)
    with threadpool_limits(1):  # more threads are four times slower on so few points
        places = tsne.fit_transform(reduced)
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=(6, 5), layout="constrained")
        axes = figure.add_subplot()
        axes.scatter(*places.T, c=colours, s=12, linewidths=0, rasterized=True)
        axes.set_axis_off()
        return svg_of(figure)


def _neighbours(x: np.ndarray, labels: np.ndarray | None, images: np.ndarray) -> str:
    similarity = (x @ x.T).round(5)  # rounded: ties do not depend on how a machine adds up
    np.fill_diagonal(similarity, -np.inf)
    order = np.argsort(-similarity, axis=1, kind="stable")[:, : min(6, len(x) - 1)]
    queries = np.linspace(0, len(x) - 1, min(10, len(x))).astype(int)
    note = "Each row: an example and those nearest to it by cosine similarity."
    if labels is not None:
        queries = np.unique(labels, return_index=True)[1][:10]
        same = (labels[order] == labels[:, None]).mean()
        note += f" ✕ marks another label; over all {len(x):,} examples {same:.1%} have the same."
    side, strips = side_of(images.shape[1]), []
    for query in queries:
        cells = ""
        for i in (query, *order[query]):
            wrong = labels is not None and bool(labels[i] != labels[query])
            name = (
                "" if labels is None else f"<small>{'✕ ' * wrong}{escape(str(labels[i]))}</small>"
            )
            kind = ' class="wrong"' if wrong else ""
            cells += f"<figure{kind}>{image_tag(images[i], side)}{name}</figure>"
        strips.append(f'<div class="near">{cells}</div>')
    return (
        f'<p class="note">{note}</p><div class="scroll"><div class="sheet" '
        f'style="--side:{side}px">{"".join(strips)}</div></div>'
    )
