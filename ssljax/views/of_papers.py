"""The views of images that papers use: `ImageView` and `MultiCrop` with their numbers."""

from dataclasses import replace

from ssljax.views.image import (
    CIFAR_MEAN,
    CIFAR_STD,
    IMAGENET_MEAN,
    IMAGENET_STD,
    RATIO,
    ImageView,
    MultiCrop,
)

_HALF = ImageView(
    brightness=0.4,
    contrast=0.4,
    saturation=0.4,
    hue=0.1,
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
)
"""Jitter of half the strength that SimCLR has on ImageNet."""


def simclr_cifar(*, size: int = 32) -> ImageView:
    """SimCLR on CIFAR-10 (appendix B.9): jitter of strength 0.5, no blur."""
    return replace(_HALF, size=size, blur=0.0, mean=CIFAR_MEAN, std=CIFAR_STD)


def simclr_imagenet(*, size: int = 224) -> ImageView:
    """SimCLR on ImageNet (appendix A): jitter of strength 1, blur half of the time."""
    return ImageView(size=size, mean=IMAGENET_MEAN, std=IMAGENET_STD)


def wmse_cifar(*, size: int = 32) -> ImageView:
    """W-MSE on CIFAR-10: crops of a fifth and more, half as much grayscale as SimCLR."""
    return replace(simclr_cifar(size=size), scale=(0.2, 1.0), grayscale=0.1)


def moco_imagenet(*, size: int = 224) -> ImageView:
    """MoCo v2 and SimSiam on ImageNet: jitter of half the strength, crops of a fifth and more."""
    return replace(_HALF, size=size, scale=(0.2, 1.0))


def plain_only(
    *, size: int, mean: tuple[float, ...] = (0.0,), std: tuple[float, ...] = (1.0,)
) -> ImageView:
    """The image itself, nothing random: for methods that draw images rather than compare views."""
    return ImageView(
        size=size,
        scale=(1.0, 1.0),
        ratio=(1.0, 1.0),
        flip=0.0,
        jitter=0.0,
        grayscale=0.0,
        blur=0.0,
        mean=mean,
        std=std,
    )


def clip_crop(*, size: int = 224) -> ImageView:
    """CLIP's only augmentation, a random square crop, with its mean and deviation of each channel.

    The paper does not say how small a crop may be; here it keeps 90% of the area or more.
    """
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    return replace(plain_only(size=size, mean=mean, std=std), scale=(0.9, 1.0))


def crop_and_flip(
    *,
    size: int = 224,
    scale: tuple[float, float] = (0.2, 1.0),
    flip: float = 0.5,
    mean: tuple[float, ...] = IMAGENET_MEAN,
    std: tuple[float, ...] = IMAGENET_STD,
) -> ImageView:
    """A random crop and flip and nothing else, for masked methods."""
    return replace(plain_only(size=size, mean=mean, std=std), scale=scale, flip=flip, ratio=RATIO)


def byol_views(*, size: int = 224) -> tuple[ImageView, ImageView]:
    """BYOL's two distributions (table 6): always blurred; rarely blurred and at times solarized."""
    first = replace(_HALF, size=size, saturation=0.2, blur=1.0)
    return first, replace(first, blur=0.1, solarize=0.2)


def multi_crop(
    view: ImageView, *, split: float, local_size: int = 96, local_crops: int = 6
) -> MultiCrop:
    """Two global crops of `view` and small local ones; SwAV has a `split` of 0.14.

    Global crops cover `split` to 100 % of the image, local ones 5 % to `split`.
    """
    wide = replace(view, scale=(split, 1.0))
    local = replace(view, size=local_size, scale=(0.05, split))
    return MultiCrop(views=(wide, wide), local=local, local_crops=local_crops)


def dino_crops(
    *, size: int = 224, local_size: int = 96, local_crops: int = 8, split: float = 0.4
) -> MultiCrop:
    """DINO: global crops like BYOL's two views, local ones blurred half of the time.

    split: the smallest global crop and the largest local one, as fractions of the image.
    """
    first, second = byol_views(size=size)
    crops = multi_crop(
        replace(first, blur=0.5), split=split, local_size=local_size, local_crops=local_crops
    )
    views = (replace(first, scale=(split, 1.0)), replace(second, scale=(split, 1.0)))
    return replace(crops, views=views)


def msn_crops(*, size: int = 224, local_size: int = 96, local_crops: int = 10) -> MultiCrop:
    """MSN: SimCLR's view with half the jitter."""
    view = replace(_HALF, size=size)
    return multi_crop(view, split=0.3, local_size=local_size, local_crops=local_crops)


def lejepa_crops(*, size: int = 224, local_size: int = 96, local_crops: int = 6) -> MultiCrop:
    """LeJEPA: the jitter of DINO, blur half of the time, solarized at times; all crops alike."""
    view = replace(byol_views(size=size)[0], blur=0.5, solarize=0.2)
    return multi_crop(view, split=0.3, local_size=local_size, local_crops=local_crops)
