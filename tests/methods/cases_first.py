"""SimCLR and BYOL, small."""

from laws import NET, VIEW, Case, images

from ssljax.methods import BYOL, SimCLR
from ssljax.nets import MLP

_HEAD = MLP(widths=(8, 6), output_norm=True)
_PLAIN = MLP(widths=(8, 6), output_bias=False)

CASES = {
    "simclr": Case(SimCLR(encoder=NET, projector=_HEAD, view=VIEW, temperature=0.5), images),
    "simclr_chunked": Case(SimCLR(encoder=NET, projector=_HEAD, view=VIEW, chunk=8), images),
    "byol": Case(BYOL(encoder=NET, projector=_PLAIN, predictor=_PLAIN, views=(VIEW, VIEW)), images),
}
