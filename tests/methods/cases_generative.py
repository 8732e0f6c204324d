"""Autoencoders, GANs, inpainting and style transfer, small."""

from laws import VIEW, Case, images

from ssljax.methods import GAN, VAE, AdaIN, Autoencoder, ContextEncoder
from ssljax.nets import (
    ConvDecoder,
    ConvEncoder,
    DiscriminatorHead,
    DiscriminatorTrunk,
    Generator,
    StyleDecoder,
    StyleEncoder,
    VariationalEncoder,
)

_SMALL = {"size": 8, "channels": 3}
_GAN = {
    "generator": Generator(widths=(8, 4), **_SMALL),
    "view": VIEW,
    "code": 4,
    "critic_steps": 1,  # more divide a batch: tests/methods/test_generative.py
}


def trunk(norm: str) -> DiscriminatorTrunk:
    return DiscriminatorTrunk(widths=(4, 8), norm=norm)


CASES = {
    "autoencoder": Case(
        Autoencoder(
            encoder=ConvEncoder(widths=(4, 6)),
            decoder=ConvDecoder(widths=(4,), **_SMALL),
            view=VIEW,
        ),
        images,
    ),
    "denoising": Case(
        Autoencoder(
            encoder=ConvEncoder(widths=(4, 6), code=5, norm=True),
            decoder=ConvDecoder(widths=(4,), grid=4, norm=True, **_SMALL),
            view=VIEW,
            noise=0.5,
        ),
        images,
    ),
    "vae": Case(
        VAE(
            encoder=VariationalEncoder(widths=(4, 6), code=3),
            decoder=ConvDecoder(widths=(4,), grid=4, **_SMALL),
            view=VIEW,
        ),
        images,
    ),
    "gan": Case(GAN(encoder=trunk("spectral"), **_GAN), images),
    "wgan_gp": Case(
        GAN(
            encoder=trunk("none"),
            head=DiscriminatorHead(norm="none"),
            game="wasserstein",
            gradient_penalty=10.0,
            r1=1.0,
            **_GAN,
        ),
        images,
    ),
    "dcgan": Case(
        GAN(
            encoder=trunk("batch"),
            head=DiscriminatorHead(norm="none"),
            game="nonsaturating",
            generator_rate=2.0,
            **_GAN,
        ),
        images,
    ),
    "context_encoder": Case(
        ContextEncoder(
            encoder=ConvEncoder(widths=(4, 6), code=8, norm=True),
            decoder=ConvDecoder(widths=(4,), grid=4, **_SMALL),
            view=VIEW,
            discriminator=trunk("spectral"),
            adversarial=0.01,
        ),
        images,
    ),
    "adain": Case(
        AdaIN(
            encoder=StyleEncoder(widths=(4, 6)),
            decoder=StyleDecoder(widths=(6,)),
            content=VIEW,
            style=VIEW,
        ),
        images,
    ),
}
