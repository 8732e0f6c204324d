"""What the starting files of `ssljax new` share, by the kind of data that a method needs."""

from typing import NamedTuple


class Family(NamedTuple):
    """What the starting files of similar methods share."""

    data: str
    """Data that the file names; digits are there at once, the rest is the user's own."""
    other: str
    """A --data of the user's own, for the docstring."""
    setup: str
    """Lines before EXPERIMENT."""
    fields: str
    """Fields of the experiment beside the method, its data and its length."""


_IMAGES = """\
SIZE = 32  # pixels along each side that the network sees
# Small enough for a CPU; on an accelerator nets.ResNet(depth=18, stem="cifar").
{networks}VIEW = ImageView(size=SIZE)  # what may change without changing what is shown
"""
_CONV = "NET = nets.SmallConv(widths=(32, 64, 128))\n"
_VIT = "NET = nets.ViT(patch=4, width=64, depth=3, heads=4{more})\n"
_SMALL = """\
    reader=Images(size=SIZE, channels=3),
    optimizer=Optimizer(learning_rate=2e-3, per_batch=None, warmup=50, weight_decay=1e-4),
    steps=1000,
    batch=128,
    cadence=Cadence(log=50, save=500, monitor=100{refresh}),
"""
_FEW = """\
    reader=Images(size=SIZE, channels=3),
    few=FewLabels(per_class=4, ratio=4),  # or few=FewLabels(file="labels.csv"): index,label
    optimizer=Optimizer(learning_rate=3e-3, per_batch=None, weight_decay=1e-3),
    steps=2000,
    batch=32,
    cadence=Cadence(log=100, save=1000, monitor=0),
"""
_TEXT = """\
    reader={reader},
    optimizer=Optimizer(learning_rate=1e-3, per_batch=None, warmup=50, weight_decay=0.01, clip=1.0),
    steps=1000,
    batch=64,
    cadence=Cadence(log=50, save=500, monitor=0, steps_per_call=10),
"""
_READER = "Text(length=LENGTH, vocab=VOCAB)"
BERT = (
    "NET = nets.Bert(vocab=VOCAB, width=128, depth=4, heads=4, hidden=512, length=LENGTH{more})\n"
)
WORDS = "LENGTH, VOCAB = 64, 2048  # tokens of a row; kinds of tokens, learned from your texts\n"
_FOLDER, _CAPTIONS = "folder:PATH/TO/IMAGES", "tsv:PATH/TO/CAPTIONS.tsv"
_TEXTS, _SOUNDS = "text:PATH/TO/TEXTS.txt", "audio:PATH/TO/RECORDINGS"
_SPEECH = """\
RATE = 16_000  # samples a second, to which recordings are brought
NET = nets.Wav2Vec2Encoder(
    width=96,
    depth=2,
    heads=4,
    hidden=256,
    convs=((32, 10, 5), (48, 8, 4), (64, 4, 4), (96, 4, 2)),
    position_kernel=16,
    position_groups=4,
    layer_drop=0.0,{more}
)
VIEW = WaveView(size=RATE // 2, sign=True)  # half a second
"""
_HEAR = """\
    reader=Audio(rate=RATE, seconds=1.0),
    optimizer=Optimizer(learning_rate=1e-3, per_batch=None, warmup=60, weight_decay=0.01, clip=1.0),
    steps=1000,
    batch=32,
    cadence=Cadence(log=50, save=500, monitor=0{refresh}),
"""
_MEL = """\
RATE = 16_000  # samples a second, to which recordings are brought
NET = nets.MelEncoder(width=96, depth=2, heads=4, hidden=256, channels=16, position_kernel=16)
VIEW = MelFrames(mel=LogMel(rate=RATE, window=RATE // 40, hop=RATE // 100, mels=40))
"""
_PAIRS = """\
SIZE, LENGTH, VOCAB = 32, 16, 256  # pixels; tokens of a caption; kinds of tokens
{networks}VIEW = crop_and_flip(size=SIZE, scale=(0.5, 1.0))
"""
_CAPTIONED = """\
    # With classes in place of captions, their names are the captions: "a photo of a 7."
    reader=Captions(
        images=Images(size=SIZE, channels=3), text=Text(length=LENGTH, vocab=VOCAB)
    ),
    optimizer=Optimizer(learning_rate=2e-3, per_batch=None, warmup=100, weight_decay=0.1, clip=1.0),
    steps=1000,
    batch=128,
    cadence=Cadence(log=50, save=500, monitor=0),
"""
TOWERS = """\
NET = nets.SmallConv(widths=(32, 64, 128))
TEXTS = nets.TextTower(
    vocabulary=VOCAB, length=LENGTH, width=64, depth=2, heads=4, hidden=128{more}
)
"""


def images(networks: str = _CONV, refresh: str = "") -> Family:
    """A method of images: a convolutional network on digits, or on a folder of images."""
    setup, fields = _IMAGES.format(networks=networks), _SMALL.format(refresh=refresh)
    return Family("digits", _FOLDER, setup, fields)


def vit(more: str = "") -> Family:
    """A method that needs the tokens of a ViT."""
    return images(_VIT.format(more=more))


def text(setup: str, reader: str = _READER) -> Family:
    """A method of texts."""
    return Family(_TEXTS, _TEXTS, setup, _TEXT.format(reader=reader))


def speech(more: str = "", refresh: str = "") -> Family:
    """A method of recordings."""
    setup, fields = _SPEECH.format(more=more), _HEAR.format(refresh=refresh)
    return Family(_SOUNDS, _SOUNDS, setup, fields)


def mel_frames() -> Family:
    """A method of log-mel frames."""
    return Family(_SOUNDS, _SOUNDS, _MEL, _HEAR.format(refresh=""))


def pairs(networks: str) -> Family:
    """A method of images with captions."""
    setup = _PAIRS.format(networks=networks)
    return Family("digits", _CAPTIONS, setup, _CAPTIONED)


GRAPH = Family(
    "graph:PATH/TO/GRAPH",
    "graph:PATH/TO/GRAPH",
    "",
    """\
    reader=Graphs(),  # which column holds the classes, how features and links are read
    optimizer=Optimizer(learning_rate=1e-3, per_batch=None),
    steps=300,
    batch=4096,  # at least as many rows as nodes: the whole graph; fewer: pieces of it
    cadence=Cadence(log=10, save=100, monitor=0),
""",
)
TRIPLES = Family(
    "triples:PATH/TO/TRIPLES",
    "triples:PATH/TO/TRIPLES",
    "",
    """\
    reader=Triples(),  # how many wrong triples are drawn for each right one
    optimizer=Optimizer(name="adam", learning_rate=1e-2, per_batch=None),
    steps=2000,
    batch=512,
    cadence=Cadence(log=100, save=1000, monitor=0),
""",
)
ANSWERS = Family(
    "interactions:PATH/TO/RATINGS",
    "interactions:PATH/TO/RATINGS",
    "",
    """\
    reader=Interactions(learn="rating"),  # or "click", whether a rating is a liked one
    optimizer=Optimizer(name="adam", learning_rate=2e-3, per_batch=None),
    steps=2000,
    batch=1024,
    cadence=Cadence(log=100, save=1000, monitor=0),
""",
)
RANKING = ANSWERS._replace(
    fields=ANSWERS.fields.replace(
        'Interactions(learn="rating"),  # or "click", whether a rating is a liked one',
        'Interactions(learn="rank"),  # each comes with an item that was not chosen',
    )
)
FOLLOWING = ANSWERS._replace(
    fields=ANSWERS.fields.replace(
        'Interactions(learn="rating"),  # or "click", whether a rating is a liked one',
        'Interactions(learn="next", split="last"),  # a row is the last items of a user',
    ).replace("batch=1024,", "batch=128,")
)
MELODIES = Family(
    "midi:PATH/TO/MELODIES",
    "midi:PATH/TO/MELODIES",
    "",
    """\
    reader=Midi(bars=2),  # a folder or a zip of MIDI files
    optimizer=Optimizer(name="adam", learning_rate=1e-3, per_batch=None, clip=1.0),
    steps=2000,
    batch=128,
    cadence=Cadence(log=100, save=1000, monitor=0),
""",
)
ROLLS = MELODIES._replace(
    fields=MELODIES.fields.replace(
        "Midi(bars=2),  # a folder or a zip of MIDI files",
        'Midi(learn="frames"),  # a folder or a zip of MIDI files, or chorales in .json',
    ).replace("batch=128", "batch=16")
)
SPOKEN = Family(
    "manifest:PATH/TO/TRANSCRIPTS.jsonl",
    "manifest:PATH/TO/TRANSCRIPTS.jsonl",
    "SOUND = Audio(rate=8000, seconds=4.0)  # of one voice; longer recordings are cut\n",
    """\
    reader=Transcripts(audio=SOUND),  # JSON lines: {"audio_filepath": "a.wav", "text": "hello"}
    optimizer=Optimizer(learning_rate=1e-3, per_batch=None, warmup=100, clip=1.0),
    steps=2000,
    batch=16,
    cadence=Cadence(log=50, save=500, monitor=0),
""",
)
SERIES = Family(
    "ts:PATH/TO/SERIES",
    "ts:PATH/TO/SERIES",
    "",
    """\
    reader=TimeSeries(),  # .ts files of the UEA archive
    optimizer=Optimizer(learning_rate=1e-3, per_batch=None, warmup=20),
    steps=600,
    batch=16,
    cadence=Cadence(log=50, save=300, monitor=0),
""",
)
VIDEOS = Family(
    "video:PATH/TO/VIDEOS",
    "video:PATH/TO/VIDEOS",
    "NET = nets.R3D(depth=10, width=16)\n"
    "VIEW = ClipView(view=ImageView(size=32, scale=(0.5, 1.0), blur=0.0), frames=8)\n",
    """\
    reader=Video(frames=16, size=32),  # what is stored of each video, of which clips are drawn
    optimizer=Optimizer(learning_rate=1e-3, per_batch=None, warmup=50, weight_decay=1e-4),
    steps=1000,
    batch=32,
    cadence=Cadence(log=50, save=500, monitor=0),
""",
)
TUBES = VIDEOS._replace(
    setup=VIDEOS.setup.replace(
        "nets.R3D(depth=10, width=16)", "nets.VideoViT(patch=8, width=96, depth=3, heads=3)"
    )
)
SMOOTHED = RANKING._replace(fields=RANKING.fields.replace("=0)", "=0, refresh=2000)"))
FEW_LABELS = Family(
    "digits",
    "folder:PATH/TO/CLASSES",
    "SIZE = 32  # pixels along each side that the network sees\n"
    "# Small enough for a CPU; on an accelerator nets.WideResNet(depth=28, widen=2).\n"
    + _CONV
    + "WEAK, STRONG = ShiftFlip(size=SIZE), RandAugment(size=SIZE)\n",
    _FEW,
)
_DRAWN = "VIEW = plain_only(size=SIZE, mean=(0.5,), std=(0.5,))\n"
NO_VIEW = "SIZE = 32  # pixels along each side that the network sees\n"
DRAWING = images()._replace(setup=NO_VIEW + _DRAWN)
