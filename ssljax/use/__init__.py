"""What one does with data of one's own, and with a trained run, in Python."""

from ssljax.use.embed import embed
from ssljax.use.encoder import Encoder, load
from ssljax.use.start import train

__all__ = ["Encoder", "embed", "load", "train"]
