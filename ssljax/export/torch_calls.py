"""The call that makes the network of an export in timm or torchvision, for the JSON beside it."""

from typing import Any

from ssljax.nets import ResNet, ViT


def torch_call(
    encoder: Any, format: str, *, image_size: int, channels: int, classes: int
) -> dict[str, Any]:
    """{"call": a function, "arguments": its keyword arguments}, after which `load_state_dict` takes
    the file as it is, strictly; {"note": why} where no such call makes the network.

    classes: of the classifier in the file; 0: there is none, and timm makes none.
    """
    if isinstance(encoder, ResNet):
        return _resnet(encoder, format, channels=channels, classes=classes)
    assert isinstance(encoder, ViT)
    sides = {"image_size": image_size, "patch_size": encoder.patch}
    if format == "torchvision":
        sizes = {
            "num_layers": encoder.depth,
            "num_heads": encoder.heads,
            "hidden_dim": encoder.width,
            "mlp_dim": encoder.mlp_ratio * encoder.width,
        }
        if channels != 3:
            return {"note": f"torchvision's ViT has 3 channels, not {channels}: replace conv_proj"}
        call = "torchvision.models.VisionTransformer"
        arguments = sides | sizes | ({"num_classes": classes} if classes else {})
        more = {} if classes else {"note": "set heads to torch.nn.Identity() before loading"}
        return {"call": call, "arguments": arguments} | more
    arguments = {
        "model_name": "vit_base_patch16_224",
        "img_size": image_size,
        "patch_size": encoder.patch,
        "embed_dim": encoder.width,
        "depth": encoder.depth,
        "num_heads": encoder.heads,
        "mlp_ratio": encoder.mlp_ratio,
        "in_chans": channels,
        "num_classes": classes,
    }
    if encoder.pool == "mean":
        arguments |= {"global_pool": "avg", "fc_norm": False}
    return {"call": "timm.create_model", "arguments": arguments}


def _resnet(encoder: ResNet, format: str, *, channels: int, classes: int) -> dict[str, Any]:
    name = f"resnet{encoder.depth}"
    if encoder.width != 64 or encoder.stem != "imagenet":
        return {
            "note": f"{format} makes {name} with width 64 and the imagenet stem alone, and this "
            f"has width {encoder.width} and the {encoder.stem} stem: change its layers by hand"
        }
    if format == "timm":
        arguments = {"model_name": name, "in_chans": channels, "num_classes": classes}
        return {"call": "timm.create_model", "arguments": arguments}
    if channels != 3:
        return {"note": f"torchvision's {name} has 3 channels, not {channels}: replace conv1"}
    arguments = {"weights": None} | ({"num_classes": classes} if classes else {})
    more = {} if classes else {"note": "set fc to torch.nn.Identity() before loading"}
    return {"call": f"torchvision.models.{name}", "arguments": arguments} | more
