"""A detector under torchvision's names, run by torchvision: heads and final boxes are the same."""

import jax
import numpy as np
import pytest

from ssljax import nets
from ssljax.export.detection_names import fcos_from_torch, fcos_to_torch
from ssljax.losses.detection import locations
from ssljax.nets import ResNet
from ssljax.nets.fcos import STRIDES
from ssljax.tasks import Boxes

SIZE, NAMES = 64, ("cell", "dot", "rod")


@pytest.mark.slow
def test_torchvision_finds_the_same_boxes():
    torch, vision = pytest.importorskip("torch"), pytest.importorskip("torchvision")
    from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
    from torchvision.ops.feature_pyramid_network import LastLevelP6P7

    torch.manual_seed(0)
    body = _resnet_fpn_extractor(
        vision.models.resnet18(weights=None), 5, [2, 3, 4], LastLevelP6P7(256, 256)
    )
    model = vision.models.detection.FCOS(
        body, 3, min_size=SIZE, max_size=SIZE, image_mean=[0.0] * 3, image_std=[1.0] * 3
    ).eval()
    head = model.head
    with torch.no_grad():  # sure of something, and of boxes that have an area
        for convs in (head.classification_head.conv, head.regression_head.conv):
            for conv in convs[::3]:
                conv.weight.mul_(5)
        head.classification_head.cls_logits.weight.mul_(4)
        head.classification_head.cls_logits.bias.fill_(0)
        head.regression_head.bbox_reg.bias.fill_(1)
    theirs = {k: v.numpy() for k, v in model.state_dict().items()}

    encoder, target = ResNet(), Boxes(classes=NAMES, size=SIZE, least=0.2, candidates=255)
    params, stats = fcos_from_torch(encoder, target.head(()), theirs)
    again = {k: torch.tensor(v) for k, v in fcos_to_torch(params, stats).items()}
    model.load_state_dict(again, strict=True)

    image = np.random.default_rng(0).uniform(0, 1, (1, SIZE, SIZE, 3)).astype(np.float32)

    @jax.jit
    def ours(params, stats, image):
        maps, _ = nets.apply(
            encoder, params["encoder"], stats["encoder"], image, train=False, method="levels"
        )
        out, _ = nets.apply(target.head(()), params["head"], {}, maps, train=False)
        return out, target.pseudo(out)[0]

    out, found = jax.device_get(ours(params, stats, image))
    x = torch.tensor(image).permute(0, 3, 1, 2)
    with torch.no_grad():
        features = list(model.backbone(x).values())
        raw = {k: v[0].numpy() for k, v in model.head(features).items()}
        boxes = {k: v.numpy() for k, v in model([x[0]])[0].items()}
    assert len(out["centre"][0]) == len(locations(SIZE, STRIDES).at) == len(raw["cls_logits"])
    for name, value in (
        ("cls_logits", out["logits"][0]),
        ("bbox_regression", out["reach"][0]),
        ("bbox_ctrness", out["centre"][0][:, None]),
    ):
        np.testing.assert_allclose(value, raw[name], atol=1e-4, rtol=1e-4, err_msg=name)
    n = len(boxes["scores"])
    assert 5 < n <= 100 and np.ptp(boxes["scores"]) > 0.05
    assert (found["scores"][0] > 0).sum() == n
    np.testing.assert_allclose(found["scores"][0, :n], boxes["scores"], atol=1e-4)
    np.testing.assert_array_equal(found["kinds"][0, :n], boxes["labels"])
    np.testing.assert_allclose(found["boxes"][0, :n], boxes["boxes"], atol=1e-3)
