"""Masked images, small: 4 x 4 patches of two pixels."""

from laws import VIEW, Case, images

from ssljax.methods import IJEPA, MAE, Data2Vec, SimMIM
from ssljax.nets import Decoder, ViT

_VIT = ViT(patch=2, width=16, depth=1, heads=2, positions="sincos")
_DECODER = Decoder(width=8, depth=1, heads=2)
_TOKEN = _VIT.clone(positions="learned", mask_token=True)

CASES = {
    "mae": Case(MAE(encoder=_VIT, decoder=_DECODER, view=VIEW), images),
    "simmim": Case(SimMIM(encoder=_TOKEN, view=VIEW, square=4), images),
    "ijepa": Case(
        IJEPA(
            encoder=_VIT.clone(pool="mean"),
            predictor=_DECODER,
            view=VIEW,
            targets=2,
            context=0.5,
            smallest=2,
        ),
        images,
    ),
    "data2vec": Case(
        Data2Vec(
            encoder=_TOKEN.clone(depth=2, pool="mean"),
            view=VIEW,
            hidden=9,
            smallest=2,
            top=2,
            tau=0.9,
            tau_start=0.5,
            ramp=4,
        ),
        images,
    ),
}
