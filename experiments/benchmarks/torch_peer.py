"""The SimCLR step once more, in PyTorch: the peer that `train_step.py` times ssljax against.

Written to be fast, not to be naive: one batched view of both views together, float32 resampling by
batched matmul (TF32 where the device has it), networks in channels_last under autocast, everything
up to the loss in one compiled graph, fused optimizer. Every definition is that of ssljax (views,
networks, NT-Xent), so the two differ in nothing but the framework: see `tests/test_benchmarks.py`.
Networks are built from the fields of the ssljax modules; nothing here starts a JAX backend.
"""

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


class ConvNorm(nn.Sequential):
    """Convolution and batch norm, with ReLU unless `relu` is off."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, relu: bool = True):
        conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        nn.init.kaiming_normal_(conv.weight, mode="fan_out")
        super().__init__(conv, nn.BatchNorm2d(outputs), nn.ReLU() if relu else nn.Identity())


class Residual(nn.Module):
    """A basic block or a bottleneck, starting as the identity where `zero` is set."""

    def __init__(self, inputs: int, features: int, stride: int, bottleneck: bool, zero: bool):
        super().__init__()
        f, outputs = features, features * (4 if bottleneck else 1)
        if bottleneck:
            layers = [ConvNorm(inputs, f, 1), ConvNorm(f, f, 3, stride), ConvNorm(f, outputs, 1)]
        else:
            layers = [ConvNorm(inputs, f, 3, stride), ConvNorm(f, f, 3)]
        layers[-1][2] = nn.Identity()
        if zero:
            nn.init.zeros_(layers[-1][1].weight)
        self.layers = nn.Sequential(*layers)
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = ConvNorm(inputs, outputs, 1, stride, relu=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.layers(x) + self.shortcut(x))


class Transformer(nn.Module):
    """One pre-norm transformer block."""

    def __init__(self, width: int, heads: int, hidden: int):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, n, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, d)
        x = x + self.proj(y)
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    """A ViT with a class token and learned positions: [B, C, H, W] -> [B, width]."""

    def __init__(self, vit: Any, size: int, channels: int):
        super().__init__()
        w = vit.width
        self.patches = nn.Conv2d(channels, w, vit.patch, vit.patch)
        self.token = nn.Parameter(torch.zeros(1, 1, w))
        self.positions = nn.Parameter(0.02 * torch.randn(1, (size // vit.patch) ** 2 + 1, w))
        blocks = (Transformer(w, vit.heads, vit.mlp_ratio * w) for _ in range(vit.depth))
        self.blocks, self.norm = nn.Sequential(*blocks), nn.LayerNorm(w, eps=1e-6)
        for module in self.blocks.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.positions
        return self.norm(self.blocks(x))[:, 0]


class Pool(nn.Module):
    """[B, C, H, W] -> [B, C] float32."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.float().mean((2, 3))


def encoder(module: Any, *, size: int, channels: int) -> tuple[nn.Module, int]:
    """The peer of an ssljax ResNet, SmallConv or ViT, and the width of its features."""
    kind = type(module).__name__
    if kind == "ViT":
        if module.pool != "cls" or module.positions != "learned":
            raise ValueError("the peer ViT has a class token and learned positions only")
        return VisionTransformer(module, size, channels), module.width
    layers: list[nn.Module] = []
    if kind == "SmallConv":
        widths = (channels, *module.widths)
        for i, (a, b) in enumerate(zip(widths, module.widths, strict=False)):
            layers.append(ConvNorm(a, b, 3, 2 if i else 1))
        return nn.Sequential(*layers, Pool()), widths[-1]
    if kind != "ResNet":
        raise ValueError(f"there is no PyTorch peer of {kind}: use ResNet, SmallConv or ViT")
    inputs, bottleneck = module.width, module.depth >= 50
    if module.stem == "imagenet":
        layers += [ConvNorm(channels, inputs, 7, 2), nn.MaxPool2d(3, 2, 1)]
    else:
        layers += [ConvNorm(channels, inputs, 3)]
    for stage, count in enumerate(DEPTHS[module.depth]):
        for i in range(count):
            f, stride = module.width << stage, 2 if stage and not i else 1
            layers.append(Residual(inputs, f, stride, bottleneck, module.zero_init_residual))
            inputs = f * (4 if bottleneck else 1)
    return nn.Sequential(*layers, Pool()), inputs


def projector(module: Any, inputs: int) -> nn.Module:
    """The peer of an ssljax MLP, from [B, inputs] to [B, widths[-1]]."""
    layers: list[nn.Module] = []
    for i, width in enumerate(module.widths):
        last = i == len(module.widths) - 1
        bias = module.output_bias if last else module.hidden_bias
        layers.append(nn.Linear(inputs, width, bias=bias))
        if module.output_norm if last else module.norm:
            layers.append(nn.BatchNorm1d(width, affine=module.output_affine or not last))
        layers += [] if last else [nn.ReLU()]
        inputs = width
    return nn.Sequential(*layers)


def nt_xent(z1: torch.Tensor, z2: torch.Tensor, *, temperature: float) -> torch.Tensor:
    """NT-Xent of [B, D] and [B, D], mean over the 2 B anchors (Chen et al. 2020, equation 1)."""
    n = len(z1)
    z = F.normalize(torch.cat([z1, z2]).float(), dim=1)
    scores = (z @ z.T / temperature).masked_fill(
        torch.eye(2 * n, dtype=torch.bool, device=z.device), -math.inf
    )
    return F.cross_entropy(scores, torch.arange(2 * n, device=z.device).roll(n))


def _pick(mask: torch.Tensor, changed: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return torch.where(mask[:, None, None, None], changed, x)


def _boxes(view: Any, n: int, height: int, width: int, device: Any) -> tuple[torch.Tensor, ...]:
    """Tops, lefts, heights, widths of n random crops, each [n]: the first of ten that fits."""
    u = torch.rand(22, n, device=device)
    area = height * width * (view.scale[0] + (view.scale[1] - view.scale[0]) * u[:10])
    low, high = math.log(view.ratio[0]), math.log(view.ratio[1])
    aspect = torch.exp(low + (high - low) * u[10:20])
    w, h = torch.sqrt(area * aspect).round(), torch.sqrt(area / aspect).round()
    fits = (w > 0) & (w <= width) & (h > 0) & (h <= height)
    first, found = fits & (fits.cumsum(0) == 1), fits.any(0)
    # Square sources only, where the central fallback is the whole image.
    w = torch.where(found, torch.where(first, w, 0.0).sum(0), float(width))
    h = torch.where(found, torch.where(first, h, 0.0).sum(0), float(height))
    top = torch.minimum((u[20] * (height - h + 1)).floor(), height - h)
    return top, torch.minimum((u[21] * (width - w + 1)).floor(), width - w), h, w


def _resampling(start: torch.Tensor, length: torch.Tensor, n: int, size: int) -> torch.Tensor:
    """Matrices [B, size, n] of antialiased bilinear interpolation (ssljax/views/geometry.py)."""
    start, length = start[:, None, None], length[:, None, None]
    step, pixel = length / size, torch.arange(n, device=start.device, dtype=torch.float32)
    centre = start + (torch.arange(size, device=start.device)[:, None] + 0.5) * step
    distance = (pixel + 0.5 - centre).abs() / step.clamp(min=1.0)
    inside = (pixel >= start) & (pixel < start + length)
    weight = torch.where(inside, (1.0 - distance).clamp(min=0.0), 0.0)
    return weight / weight.sum(-1, keepdim=True)


def _blurring(sigma: torch.Tensor, n: int) -> torch.Tensor:
    """Matrices [B, n, n] of a Gaussian that reflects at the border."""
    radius, j = max(1, n // 10 // 2), torch.arange(n, device=sigma.device, dtype=torch.float32)
    i, last, weight = j[:, None], n - 1, 0.0
    for offset, seen in ((j - i, j >= 0), (-j - i, j > 0), (2 * last - j - i, j < last)):
        tap = torch.exp(-0.5 * (offset / sigma[:, None, None]) ** 2)
        weight = weight + torch.where(seen & (offset.abs() <= radius), tap, 0.0)
    return weight / weight.sum(-1, keepdim=True)


def _separable(x: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    x = torch.einsum("nchw,njw->nchj", x, columns)
    return torch.einsum("nih,nchj->ncij", rows, x)


def _blend(x: torch.Tensor, a: Any, b: Any, c: Any) -> torch.Tensor:
    """clip(a x + b luma + c mean luma); each of a, b, c [n, 1, 1, 1] or a number."""
    luma = x if x.shape[1] == 1 else 0.299 * x[:, :1] + 0.587 * x[:, 1:2] + 0.114 * x[:, 2:]
    out = a * x
    out = out + b * luma if torch.is_tensor(b) else out
    out = out + c * luma.mean((2, 3), keepdim=True) if torch.is_tensor(c) else out
    return out.clamp(0.0, 1.0)


def _hue(x: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    r, g, b = x.unbind(1)
    value = torch.maximum(torch.maximum(r, g), b)
    chroma = value - torch.minimum(torch.minimum(r, g), b)
    scale = 1.0 / torch.where(chroma > 0, chroma, 1.0)
    other = torch.where(value == g, 2.0 + (b - r) * scale, 4.0 + (r - g) * scale)
    hue = torch.where(value == r, (g - b) * scale, other)
    k = torch.stack([hue + n + 6.0 * turn for n in (5.0, 3.0, 1.0)], 1)
    k = k - 6.0 * torch.floor(k / 6.0)
    return (value[:, None] - chroma[:, None] * torch.minimum(k, 4.0 - k).clamp(0, 1)).clamp(0, 1)


def _jitter(view: Any, x: torch.Tensor) -> torch.Tensor:
    """Brightness, contrast, saturation and hue of [n, C, H, W] in random order.

    Compiled, each image has its own order (slots of coefficients around one hue rotation, one
    graph for all). Eagerly the batch shares one, drawn on the host, which halves the work.
    """
    n, colour = len(x), x.shape[1] == 3
    strengths = [view.brightness, view.contrast, view.saturation if colour else 0.0]
    u = torch.rand(4, n, 1, 1, 1, device=x.device)
    f = [max(0.0, 1 - s) + (1 + s - max(0.0, 1 - s)) * u[k] for k, s in enumerate(strengths)]
    rows = [(f[0], None, None), (f[1], None, 1 - f[1]), (f[2], 1 - f[2], None)]
    used = [k for k in range(3) if strengths[k] > 0]
    hued, turn = colour and view.hue > 0, view.hue * (2 * u[3] - 1)
    if not torch.compiler.is_compiling():
        for k in torch.randperm(4).tolist():
            if k in used:
                x = _blend(x, *rows[k])
            elif k == 3 and hued:
                x = _hue(x, turn[:, 0])
        return x
    at = torch.rand(4, n, 1, 1, 1, device=x.device)  # an operation's time; the order is their order

    def run(x: torch.Tensor, wanted: list[torch.Tensor]) -> torch.Tensor:
        rank = [sum((at[k] > at[m]).int() for m in used) for k in used]
        for slot in range(len(used)):
            a, b, c = 1.0, 0.0, 0.0
            for k, r, want in zip(used, rank, wanted, strict=True):
                here = ((r == slot) & want).float()
                a = a + here * (rows[k][0] - 1)
                b = b + here * rows[k][1] if rows[k][1] is not None else b
                c = c + here * rows[k][2] if rows[k][2] is not None else c
            x = _blend(x, a, b, c)
        return x

    if not hued:
        return run(x, [at[k] >= 0 for k in used])
    x = _hue(run(x, [at[k] < at[3] for k in used]), turn[:, 0])
    return run(x, [at[k] >= at[3] for k in used])


@torch.no_grad()
def views(view: Any, images: torch.Tensor) -> torch.Tensor:
    """A random ImageView of each uint8 square image [N, H, H, C] -> float32 [N, C, size, size]."""
    n, height, width, channels = images.shape
    if view.solarize or height != width:
        raise ValueError("the peer's views take square images and do not solarize")
    device, x = images.device, images.permute(0, 3, 1, 2).float() / 255.0
    if view.degrees or view.translate or view.zoom != (1.0, 1.0):
        angle, zoom, dx, dy = 2 * torch.rand(4, n, device=device) - 1
        angle = math.radians(view.degrees) * angle
        zoom = view.zoom[0] + (view.zoom[1] - view.zoom[0]) * (0.5 + 0.5 * zoom)
        cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
        dx, dy = 2 * view.translate * dx, 2 * view.translate * dy  # in halves of the image
        theta = [cos, sin, -(cos * dx + sin * dy), -sin, cos, sin * dx - cos * dy]
        grid = F.affine_grid(torch.stack(theta, 1).view(n, 2, 3), list(x.shape), False)
        x = F.grid_sample(x, grid, align_corners=False)
    top, left, h, w = _boxes(view, n, height, width, device)
    rows = _resampling(top, h, height, view.size)
    columns = _resampling(left, w, width, view.size)
    # Mirroring the small matrix instead of the image costs nothing.
    columns = torch.where(
        (torch.rand(n, 1, 1, device=device) < view.flip), columns.flip(1), columns
    )
    x = _separable(x, rows, columns)
    if view.jitter:
        x = _pick(torch.rand(n, device=device) < view.jitter, _jitter(view, x), x)
    if view.grayscale and channels == 3:
        x = _pick(
            torch.rand(n, device=device) < view.grayscale, _blend(x, 0.0, x.new_ones(1), 0), x
        )
    if view.blur:
        band = _blurring(0.1 + 1.9 * torch.rand(n, device=device), view.size)
        x = _pick(torch.rand(n, device=device) < view.blur, _separable(x, band, band), x)
    mean, std = (torch.tensor(v, device=device).view(1, -1, 1, 1) for v in (view.mean, view.std))
    return (x - mean) / std


class SimCLR(nn.Module):
    """uint8 images [B, H, H, C] -> the NT-Xent loss of two random views of each."""

    def __init__(self, method: Any, *, channels: int, dtype: torch.dtype):
        super().__init__()
        self.view, self.temperature, self.dtype = method.view, method.temperature, dtype
        self.encoder, width = encoder(method.encoder, size=method.view.size, channels=channels)
        self.projector = projector(method.projector, width)

    def augment(self, images: torch.Tensor) -> torch.Tensor:
        """Both views of uint8 [B, H, H, C] in one batch [2 B, C, size, size], channels_last."""
        x = views(self.view, torch.cat([images, images]))
        return x.contiguous(memory_format=torch.channels_last)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.augment(images)
        with torch.autocast(images.device.type, self.dtype, enabled=self.dtype != torch.float32):
            z = self.projector(self.encoder(x)).float()
        return nt_xent(*z.chunk(2), temperature=self.temperature)


class Trainer:
    """The compiled training step. mode: "eager", or a mode of torch.compile."""

    def __init__(self, method: Any, optimizer: Any, *, channels: int, device: str, mode: str):
        torch.manual_seed(0)
        torch.set_float32_matmul_precision("high")  # TF32 for float32, as the views are
        torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
        dtype = getattr(torch, method.encoder.dtype)
        self.model = SimCLR(method, channels=channels, dtype=dtype).to(device).train()
        self.model.to(memory_format=torch.channels_last)
        parameters = list(self.model.parameters())
        groups = [
            {"params": [p for p in parameters if p.ndim > 1]},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        fields = {"lr": optimizer.learning_rate, "weight_decay": optimizer.weight_decay}
        if optimizer.name == "sgd":
            fields["momentum"] = optimizer.momentum
        kind = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}[optimizer.name]
        self.optimizer = kind(groups, fused=True, **fields)
        wrap = (lambda f: f) if mode == "eager" else lambda f: torch.compile(f, mode=mode)
        self.loss, self.augment = wrap(self.model), wrap(self.model.augment)

    def step(self, images: torch.Tensor) -> torch.Tensor:
        """One update on uint8 [B, H, H, C]; returns the loss, on the device."""
        torch.compiler.cudagraph_mark_step_begin()
        loss = self.loss(images)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.detach().clone()
