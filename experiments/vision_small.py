"""Every vision method under one small budget on MNIST: what two CPU cores can compare honestly.

    ssljax sweep experiments/vision_small.py --data parquet:path/to/mnist    # or tfds:mnist

Each run: 600 steps of batch 128 (1,000 of 64 for the methods of crops on a ViT) on the 60,000
training images without labels, one network for all convolutional methods and one small ViT for
those that need tokens; then k-NN, linear and few-shot probes on the 10,000 test images, beside the
same network with random weights and raw pixels. The budget is far below any paper's: the numbers
say that a method works, not which one is best.
"""

from dataclasses import replace
from typing import Any

from ssljax import Cadence, Experiment, Optimizer
from ssljax.methods import (
    BYOL,
    DCL,
    DINO,
    GAN,
    IBOT,
    IJEPA,
    MAE,
    MSN,
    NNCLR,
    VAE,
    WMSE,
    Autoencoder,
    BarlowTwins,
    ContextEncoder,
    Data2Vec,
    DeepCluster,
    DINOv2,
    Jigsaw,
    LeJEPA,
    MoCoV2,
    MoCoV3,
    RelativePatch,
    Rotation,
    SimCLR,
    SimMIM,
    SimSiam,
    SupCon,
    SwAV,
    TiCo,
    VICReg,
)
from ssljax.nets import (
    MLP,
    ConvDecoder,
    Decoder,
    DINOHead,
    DiscriminatorTrunk,
    Generator,
    SmallConv,
    VariationalEncoder,
    ViT,
)
from ssljax.probes import Evaluation, FewShot
from ssljax.views import ImageView, MultiCrop, plain_only

CONV = SmallConv(widths=(16, 32, 64))
VIT = ViT(patch=4, width=64, depth=3, heads=4)
# What lets a ViT learn in so few steps: few large patches, Xavier's start, fixed places, and the
# mean of the patches for the image. A class token of timm's start says nearly the same of all
# images, and iBOT, DINOv2 and MSN then make its few directions fewer.
QUICK = ViT(patch=7, width=64, depth=3, heads=4, positions="sincos", pool="mean", start="xavier")
# Digits must not be mirrored: affine, crop and intensity keep what a digit is.
VIEW = ImageView(
    size=28,
    scale=(0.5, 1.0),
    flip=0.0,
    degrees=15.0,
    translate=0.1,
    zoom=(0.9, 1.1),
    brightness=0.4,
    contrast=0.4,
    saturation=0.0,
    hue=0.0,
    grayscale=0.0,
    blur=0.0,
    mean=(0.1307,),
    std=(0.3081,),
)


# The crops of these methods are moved, not shaded, and most are small.
_MOVED = replace(VIEW, scale=(0.6, 1.0), brightness=0.0, contrast=0.0)
_LOCAL = MultiCrop(
    views=(_MOVED, _MOVED), local=replace(_MOVED, size=14, scale=(0.25, 0.6)), local_crops=4
)


def small(
    method: Any, *, learning_rate: float = 2e-3, steps: int = 600, batch: int = 128
) -> Experiment:
    """One run of the comparison."""
    return Experiment(
        method=method,
        data="tfds:mnist",
        optimizer=Optimizer(
            name="adamw",
            learning_rate=learning_rate,
            per_batch=None,
            warmup=50,
            weight_decay=1e-4,
        ),
        steps=steps,
        batch=batch,
        cadence=Cadence(log=50, evaluate=0, save=300, monitor=100),
        evaluation=Evaluation(few_shot=FewShot(shots=(1, 10), draws=5), max_examples=20_000),
    )


_HEAD = MLP(widths=(128, 64))
_PLAIN = MLP(widths=(128, 64), output_bias=False)
# Two crops of 28 pixels, and for some methods two more of 16: in so few steps those help little.
_PAIR = MultiCrop(views=(VIEW, VIEW))
_CROPS = MultiCrop(
    views=(VIEW, VIEW), local=replace(VIEW, size=16, scale=(0.2, 0.5)), local_crops=2
)
_DINO_HEAD = DINOHead(prototypes=256, hidden=128, bottleneck=64)
_TEACHER = {"warmup": 200, "tau": 0.98, "freeze": 50}
_QUICK_HEAD = DINOHead(prototypes=512, hidden=128, bottleneck=64, norm=True)
_STEADY = {"teacher_temperature": 0.04, "warmup": 0, "tau": 0.99, "freeze": 50}
_QUICK_TOKEN = QUICK.clone(mask_token=True)
_LONGER: dict[str, Any] = {"steps": 1000, "batch": 64}

# Masked methods: patches of 4 pixels make a grid of 7 x 7.
_SINCOS = VIT.clone(positions="sincos", pool="mean")
_TOKEN = VIT.clone(pool="mean", mask_token=True)
_DECODER = Decoder(width=32, depth=2, heads=4)

# Pretext tasks see the image itself, a little moved.
_STILL = replace(plain_only(size=28, mean=(0.1307,), std=(0.3081,)), translate=0.1)

SWEEP = {
    "simclr": small(SimCLR(encoder=CONV, projector=_HEAD, view=VIEW, temperature=0.2)),
    "byol": small(
        BYOL(encoder=CONV, projector=_PLAIN, predictor=_PLAIN, views=(VIEW, VIEW), tau=0.97)
    ),
    "dcl": small(DCL(encoder=CONV, projector=_HEAD, view=VIEW, temperature=0.2)),
    "dclw": small(DCL(encoder=CONV, projector=_HEAD, view=VIEW, temperature=0.2, sigma=0.5)),
    "supcon": small(SupCon(encoder=CONV, projector=_HEAD, view=VIEW)),  # with labels
    "moco_v2": small(
        MoCoV2(
            encoder=CONV,
            projector=MLP(widths=(128, 64), norm=False),
            view=VIEW,
            queue=4096,
            tau=0.97,
            groups=4,
        )
    ),
    "moco_v3": small(
        MoCoV3(
            encoder=CONV,
            projector=_HEAD,
            predictor=_PLAIN,
            views=(VIEW, VIEW),
            temperature=0.2,
            tau=0.97,
        )
    ),
    "nnclr": small(
        NNCLR(
            encoder=CONV,
            projector=_HEAD,
            predictor=_PLAIN,
            views=(VIEW, VIEW),
            temperature=0.2,
            queue=4096,
        )
    ),
    "simsiam": small(
        SimSiam(
            encoder=CONV,
            projector=MLP(widths=(128, 128), hidden_bias=False),
            predictor=MLP(widths=(32, 128), hidden_bias=False),
            view=VIEW,
        )
    ),
    "barlow_twins": small(
        BarlowTwins(encoder=CONV, projector=MLP(widths=(256, 256)), views=(VIEW, VIEW))
    ),
    "vicreg": small(VICReg(encoder=CONV, projector=MLP(widths=(256, 256)), views=(VIEW, VIEW))),
    "wmse": small(WMSE(encoder=CONV, projector=MLP(widths=(128, 32)), view=VIEW, size=128)),
    "tico": small(TiCo(encoder=CONV, projector=_HEAD, views=(VIEW, VIEW), tau=0.97)),
    "swav": small(SwAV(encoder=CONV, projector=_HEAD, crops=_PAIR, prototypes=100, freeze=50)),
    "dino": small(
        DINO(
            encoder=CONV,
            head=_DINO_HEAD.clone(norm=True, layers=2),
            crops=_PAIR,
            **_TEACHER,
        )
    ),
    "ibot": small(
        IBOT(encoder=_QUICK_TOKEN, head=_QUICK_HEAD, crops=_LOCAL, smallest=1, **_STEADY),
        **_LONGER,
    ),
    "dinov2": small(
        DINOv2(encoder=_QUICK_TOKEN, head=_QUICK_HEAD, crops=_LOCAL, smallest=1, **_STEADY),
        **_LONGER,
    ),
    "msn": small(
        MSN(
            encoder=QUICK,
            projector=MLP(widths=(128, 128, 64), activation="gelu"),
            crops=_LOCAL,
            prototypes=64,
            tau=0.98,
        ),
        **_LONGER,
    ),
    "lejepa": small(
        LeJEPA(encoder=CONV, projector=MLP(widths=(128, 128, 16)), crops=_CROPS, slices=256)
    ),
    "mae": small(MAE(encoder=_SINCOS, decoder=_DECODER, view=VIEW)),
    "simmim": small(SimMIM(encoder=_TOKEN, view=VIEW, square=4)),
    "ijepa": small(
        IJEPA(encoder=_SINCOS, predictor=_DECODER, view=VIEW, context=0.5, tau=0.98),
    ),
    "data2vec": small(
        Data2Vec(encoder=_TOKEN, view=VIEW, hidden=30, smallest=4, top=2, tau=0.99, tau_start=0.99)
    ),
    "deepcluster": replace(
        small(
            DeepCluster(
                examples=60_000,
                encoder=CONV,
                projector=_HEAD,
                crops=_PAIR,
                prototypes=(100, 100, 100),
            )
        ),
        cadence=Cadence(log=50, evaluate=0, save=300, monitor=100, refresh=150),
    ),
    "rotation": small(Rotation(encoder=CONV, view=_STILL)),
    "jigsaw": small(
        Jigsaw(
            encoder=CONV,
            projector=MLP(widths=(64,)),
            hidden=256,
            view=replace(_STILL, size=27),
            tile=8,
            count=50,
        )
    ),
    "relative_patch": small(
        RelativePatch(
            encoder=CONV,
            head=MLP(widths=(128, 128, 8)),
            view=replace(_STILL, size=30),
            patch=8,
            gap=2,
            jitter=1,
        )
    ),
    "autoencoder": small(Autoencoder(encoder=CONV, decoder=ConvDecoder(grid=32))),
    "denoising": small(Autoencoder(encoder=CONV, decoder=ConvDecoder(grid=32), noise=0.5)),
    "vae": small(VAE(encoder=VariationalEncoder(widths=(16, 32, 64), code=32))),
    "context_encoder": small(
        ContextEncoder(
            encoder=CONV, decoder=ConvDecoder(grid=32, norm=True), view=plain_only(size=28)
        )
    ),
    "gan": small(
        GAN(
            encoder=DiscriminatorTrunk(widths=(16, 32, 64)),
            generator=Generator(size=28, channels=1, widths=(64, 32, 16)),
            view=plain_only(size=28, mean=(0.5,), std=(0.5,)),
            game="nonsaturating",
            critic_steps=1,
            code=64,
        ),
        learning_rate=2e-4,
    ),
}
