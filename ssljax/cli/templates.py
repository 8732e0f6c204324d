"""Starting files for `ssljax new`: small enough for a laptop, and right in form for any size."""

from ssljax.cli.families import (
    ANSWERS,
    BERT,
    DRAWING,
    FEW_LABELS,
    FOLLOWING,
    GRAPH,
    MELODIES,
    NO_VIEW,
    RANKING,
    ROLLS,
    SERIES,
    SMOOTHED,
    SPOKEN,
    TOWERS,
    TRIPLES,
    TUBES,
    VIDEOS,
    WORDS,
    Family,
    images,
    mel_frames,
    pairs,
    speech,
    text,
    vit,
)

_HEAD = "projector=nets.MLP(widths=(256, 64))"
_BOTH = "views=(VIEW, VIEW)"
_PREDICTOR = "predictor=nets.MLP(widths=(256, 64))"
_CROPS = "crops=MultiCrop(views=(VIEW, VIEW))"
_DINO = "head=nets.DINOHead(prototypes=256, hidden=128, bottleneck=64), warmup=200, freeze=50"
_MASKED = ", any_size=True, mask_token=True"
_GREY = "decoder=nets.ConvDecoder(size=SIZE, channels=3, grid=32)"
_TOWER_HEADS = (
    "projector=nets.MLP(widths=(64,), norm=False, output_bias=False), "
    "partner_projector=nets.MLP(widths=(64,), norm=False, output_bias=False)"
)
_EVERY = ", refresh=500"

METHODS: dict[str, tuple[Family, str]] = {
    "DGI": (GRAPH, 'encoder=nets.GCN(widths=(256,), activation="prelu")'),
    "GRACE": (GRAPH, "encoder=nets.GCN(widths=(256, 128)), temperature=0.4"),
    "BGRL": (
        GRAPH,
        'encoder=nets.GCN(widths=(512, 256), activation="prelu", norm=True), tau=0.99',
    ),
    "GraphMAE": (
        GRAPH,
        'encoder=nets.GAT(widths=(256, 256), activation="prelu", dropout=0.2), hidden=0.5',
    ),
    "VGAE": (GRAPH, "encoder=nets.GCN(widths=(32,)), code=16"),
    "TransE": (TRIPLES, "width=128, margin=6.0"),
    "DistMult": (TRIPLES, "width=128, decay=0.01"),
    "ComplEx": (TRIPLES, "width=128, decay=0.01"),
    "RotatE": (TRIPLES, "width=128, margin=6.0"),
    "LR": (ANSWERS, "decay=1e-3"),
    "FM": (ANSWERS, "width=16, decay=0.01"),
    "DeepFM": (ANSWERS, "width=16, decay=0.01"),
    "BPR": (RANKING, "width=64, decay=0.01"),
    "SimGCL": (SMOOTHED, "width=64, layers=2"),
    "SASRec": (FOLLOWING, 'loss_over="all"'),
    "CL4SRec": (FOLLOWING, 'loss_over="all", weight=0.1'),
    "BERT4Rec": (FOLLOWING, "ratio=0.2"),
    "MusicVAE": (
        MELODIES,
        "encoder=nets.MelodyEncoder(width=128, code=32), "
        "decoder=nets.MelodyDecoder(width=128, steps=32)",
    ),
    "NextFrame": (ROLLS, "encoder=nets.LSTM(width=128, both=False), dropout=0.3"),
    "TS2Vec": (SERIES, "encoder=nets.FCN(widths=(32, 64, 32)), width=64"),
    "CVRL": (VIDEOS, f"encoder=NET, {_HEAD}, view=VIEW, temperature=0.2"),
    "VideoMAE": (
        TUBES,
        "encoder=NET, decoder=nets.Decoder(width=48, depth=2, heads=3), view=VIEW",
    ),
    "SimCLR": (images(), f"encoder=NET, {_HEAD}, view=VIEW, temperature=0.2"),
    "DCL": (images(), f"encoder=NET, {_HEAD}, view=VIEW, temperature=0.2"),
    "SupCon": (images(), f"encoder=NET, {_HEAD}, view=VIEW"),
    "MoCoV2": (
        images(),
        "encoder=NET, projector=nets.MLP(widths=(256, 64), norm=False), view=VIEW, "
        "queue=1024, tau=0.97, groups=4",
    ),
    "MoCoV3": (images(), f"encoder=NET, {_HEAD}, {_PREDICTOR}, {_BOTH}, tau=0.97"),
    "BYOL": (images(), f"encoder=NET, {_HEAD}, {_PREDICTOR}, {_BOTH}, tau=0.97"),
    "NNCLR": (images(), f"encoder=NET, {_HEAD}, {_PREDICTOR}, {_BOTH}, queue=1024"),
    "SimSiam": (
        images(),
        "encoder=NET, projector=nets.MLP(widths=(256, 256)), "
        "predictor=nets.MLP(widths=(64, 256)), view=VIEW",
    ),
    "BarlowTwins": (images(), f"encoder=NET, projector=nets.MLP(widths=(256, 256)), {_BOTH}"),
    "VICReg": (images(), f"encoder=NET, projector=nets.MLP(widths=(256, 256)), {_BOTH}"),
    "WMSE": (images(), "encoder=NET, projector=nets.MLP(widths=(256, 32)), view=VIEW, size=128"),
    "TiCo": (images(), f"encoder=NET, {_HEAD}, {_BOTH}, tau=0.97"),
    "LeJEPA": (
        images(),
        f"encoder=NET, projector=nets.MLP(widths=(256, 256, 16)), {_CROPS}, slices=256",
    ),
    "SwAV": (images(), f"encoder=NET, {_HEAD}, {_CROPS}, prototypes=100, freeze=50"),
    "DINO": (images(), f"encoder=NET, {_DINO}, {_CROPS}"),
    "IBOT": (vit(_MASKED), f"encoder=NET, {_DINO}, {_CROPS}, smallest=4"),
    "DINOv2": (vit(_MASKED), f"encoder=NET, {_DINO}, {_CROPS}, smallest=4"),
    "MSN": (
        vit(", any_size=True"),
        "encoder=NET, "
        f'projector=nets.MLP(widths=(128, 128, 64), activation="gelu"), {_CROPS}, prototypes=64',
    ),
    "MAE": (
        vit(', positions="sincos", pool="mean"'),
        "encoder=NET, decoder=nets.Decoder(width=32, depth=2, heads=4), view=VIEW",
    ),
    "SimMIM": (vit(', pool="mean", mask_token=True'), "encoder=NET, view=VIEW, square=8"),
    "IJEPA": (
        vit(', positions="sincos", pool="mean"'),
        "encoder=NET, predictor=nets.Decoder(width=32, depth=2, heads=4), view=VIEW, context=0.5",
    ),
    "Data2Vec": (
        vit(', pool="mean", mask_token=True'),
        "encoder=NET, view=VIEW, hidden=39, smallest=5, top=2, tau=0.99, tau_start=0.99",
    ),
    "DeepCluster": (
        images(refresh=_EVERY),
        f"examples=1797, encoder=NET, {_HEAD}, {_CROPS}, prototypes=(100, 100)",
    ),
    "Rotation": (images(), "encoder=NET, view=VIEW"),
    "Jigsaw": (
        images(),
        "encoder=NET, projector=nets.MLP(widths=(64,)), hidden=256, "
        "view=replace(VIEW, size=33), tile=9, count=50",
    ),
    "RelativePatch": (
        images(),
        "encoder=NET, head=nets.MLP(widths=(128, 128, 8)), view=VIEW, patch=8, gap=2, jitter=1",
    ),
    "Colorization": (
        images("NET = nets.ResNet(depth=18, width=16)\n"),
        "encoder=NET, view=VIEW, grid=8",
    ),
    "Denoising": (
        images("NET = nets.UNetEncoder(widths=(16, 32, 64, 128), norm=True)\n"),
        "encoder=NET, decoder=nets.UNetDecoder(classes=3, widths=(64, 32, 16)), view=VIEW",
    ),
    "Autoencoder": (DRAWING, f"encoder=nets.ConvEncoder(code=32), {_GREY}, view=VIEW"),
    "VAE": (
        DRAWING,
        "encoder=nets.VariationalEncoder(widths=(16, 32, 64), code=32), "
        "decoder=nets.ConvDecoder(size=SIZE, channels=3, grid=32), view=VIEW",
    ),
    "ContextEncoder": (DRAWING, f"encoder=nets.ConvEncoder(code=32), {_GREY}, view=VIEW"),
    "GAN": (
        DRAWING,
        "encoder=nets.DiscriminatorTrunk(widths=(16, 32, 64)), "
        "generator=nets.Generator(size=SIZE, channels=3, widths=(64, 32, 16)), view=VIEW, "
        'game="nonsaturating", critic_steps=1, code=64',
    ),
    "AdaIN": (
        DRAWING._replace(setup=NO_VIEW),
        "content=Grey(size=SIZE), style=Duotone(size=SIZE)",
    ),
    **{
        name: (FEW_LABELS, "encoder=NET, classes=10, weak=WEAK")
        for name in ("Supervised", "PseudoLabel", "MeanTeacher")
    },
    **{
        name: (FEW_LABELS, "encoder=NET, classes=10, weak=WEAK, strong=STRONG")
        for name in ("UDA", "FixMatch", "FreeMatch", "SoftMatch", "AdaMatch")
    },
    "FlexMatch": (FEW_LABELS, "examples=1797, encoder=NET, classes=10, weak=WEAK, strong=STRONG"),
    "BERT": (text(WORDS + BERT.format(more="")), "encoder=NET"),
    "ELECTRA": (text(WORDS + BERT.format(more="")), "encoder=NET, generator=0.5"),
    "SimCSE": (text(WORDS + BERT.format(more=', pool="cls"')), "encoder=NET"),
    "DualEncoder": (
        text(
            WORDS + BERT.format(more=""),
            "Dialogues(text=Text(length=LENGTH, vocab=VOCAB), answers=True)",
        )._replace(data="dialogues:PATH/TO/DIALOGUES", other="dialogues:PATH/TO/DIALOGUES"),
        "encoder=NET",
    ),
    "T5": (
        text(
            WORDS + "NET = nets.T5Encoder(vocab=VOCAB + 32, width=128, depth=2, heads=4, "
            "hidden=256)  # 32 sentinels\n"
        ),
        "encoder=NET",
    ),
    "GPT": (
        text(
            "LENGTH, VOCAB = 64, 256  # characters of a row; kinds of characters\n"
            "NET = nets.GPT2(vocab=VOCAB, width=128, depth=4, heads=4, length=LENGTH)\n",
            'Text(\n        length=LENGTH + 1, vocab=VOCAB, tokenizer="characters", '
            'layout="windows", specials=()\n    )',
        ),
        "encoder=NET",
    ),
    "Wav2Vec2": (
        speech(),
        "encoder=NET, quantizer=nets.Quantizer(entries=32, width=64), "
        "view=VIEW, width=64, span=5, negatives=20",
    ),
    "HuBERT": (
        speech(refresh=_EVERY),
        "encoder=NET, view=VIEW, rate=RATE, clusters=(50, 100), layer=1, width=64, span=5",
    ),
    "Data2VecAudio": (
        speech("\n    feature_gradient=1.0,"),
        "encoder=NET, view=VIEW, span=5, top=2, tau=0.999, tau_start=0.98, ramp=400",
    ),
    "BestRQ": (mel_frames(), "encoder=NET, view=VIEW, codes=512"),
    "FastSpeech": (SPOKEN, "mel=LogMel(rate=8000, window=256, hop=80, mels=40)"),
    "CLIP": (
        pairs(TOWERS.format(more=", eot=3")),
        f"encoder=NET, partner=TEXTS, {_TOWER_HEADS}, view=VIEW",
    ),
    "SigLIP": (
        pairs(TOWERS.format(more=', causal=False, pool="last"')),
        f"encoder=NET, partner=TEXTS, {_TOWER_HEADS}, view=VIEW, bias=-4.85",
    ),
    "JointMasked": (
        pairs(
            "NET = nets.JointViT(\n    patch=4, vocab=VOCAB, length=LENGTH, "
            "width=64, depth=3, heads=4, hidden=128\n)\n"
        ),
        "encoder=NET, view=VIEW, ratio=0.5, text_ratio=0.35",
    ),
}
