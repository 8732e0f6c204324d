"""What a misread paper gets wrong in autoencoders, GANs, inpainting and style transfer."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases_generative import CASES
from laws import images

from ssljax import nets
from ssljax.losses import gan as gan_losses
from ssljax.losses.reconstruction import gaussian_kl, masked_l1
from ssljax.training.sharding import Parallel, batch_sharding, to_global
from ssljax.views import plain_only, view_batch

KEY = jax.random.key(0)
BATCH = images(16)


@pytest.fixture(autouse=True)
def full_precision():
    with jax.default_matmul_precision("highest"):
        yield


def start(method, tx=None):
    built = method.build(tx or optax.sgd(0.1), updates=10)
    return built, jax.jit(built.init)(KEY, BATCH)


def assert_close(a, b, **options):
    a, b = jax.device_get((a, b))
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **options), a, b)


def cross_entropy(logits, x):
    p = 1 / (1 + np.exp(-np.asarray(logits, np.float64)))
    return -(x * np.log(p) + (1 - x) * np.log(1 - p))


@pytest.mark.parametrize("name", list(CASES))
def test_pictures(name):
    """[n, v, H, W, C] in [0, 1] for the report, whatever there is to show."""
    method = CASES[name].method
    _, state = start(method)
    few = {k: v[:3] for k, v in BATCH.items()}
    shown = method.show(few, KEY, state)
    assert set(shown) <= {"views", "samples", "interpolations", "augmentations"}
    for key, value in shown.items():
        assert value.shape[0] == 3, key
        assert value.shape[2:] == (8, 8, 3), key
        assert float(value.min()) >= 0 and float(value.max()) <= 1, key


# Autoencoders


def test_autoencoder_reference():
    method = replace(CASES["denoising"].method, view=plain_only(size=8))
    _, state = start(method)
    value, (_, metrics) = method.loss(state.params, state.extra, BATCH, KEY)
    x = BATCH["image"].astype(np.float64) / 255
    to_noise = jax.random.split(KEY)[1]
    noisy = x + 0.5 * np.asarray(jax.random.normal(to_noise, x.shape))
    chain = {"encoder": method.encoder, "decoder": method.decoder}
    logits, _ = nets.apply_chain(
        chain, state.params, state.extra["stats"], jnp.asarray(noisy, jnp.float32), train=True
    )
    np.testing.assert_allclose(value, cross_entropy(logits, x).mean(), rtol=1e-5)
    p = 1 / (1 + np.exp(-np.asarray(logits, np.float64)))
    np.testing.assert_allclose(metrics["pixel_error"], ((p - x) ** 2).mean(), rtol=1e-4)


def test_augmentations_spread_as_the_codes_do():
    method = CASES["autoencoder"].method
    built, state = start(method)
    codes = built.embed(state, BATCH)
    drawn = []
    spy = replace_decode(method, lambda state, codes: drawn.append(codes) or codes)
    many = jnp.tile(codes, (200, 1))
    spy(state, many, KEY, scale=0.5)
    spread = np.std(drawn[0] - many, axis=0)
    np.testing.assert_allclose(spread, 0.5 * np.std(codes, axis=0), rtol=0.1, atol=1e-6)
    np.testing.assert_array_equal(method.augment(state, codes, KEY, scale=0.0).shape, (16, 8, 8, 3))


def replace_decode(method, decode):
    """`augment` of `method` with another `decode`."""

    class Spy(type(method)):
        pass

    Spy.decode = lambda self, state, codes: decode(state, codes)
    return Spy(**{f: getattr(method, f) for f in method.__dataclass_fields__}).augment


def test_vae_reference():
    method = replace(CASES["vae"].method, view=plain_only(size=8), beta=3.0)
    built, state = start(method)
    value, (_, metrics) = method.loss(state.params, state.extra, BATCH, KEY)
    x = (BATCH["image"] / 255).astype(np.float32)
    (mean, log_var), _ = nets.apply(
        method.encoder, state.params["encoder"], {}, x, train=False, method="posterior"
    )
    noise = np.asarray(jax.random.normal(jax.random.split(KEY)[1], mean.shape))
    z = mean + np.exp(np.asarray(log_var) / 2) * noise
    logits, _ = nets.apply(method.decoder, state.params["decoder"], {}, z, train=False)
    nats = cross_entropy(logits, x.astype(np.float64)).reshape(16, -1).sum(1).mean()
    kl = np.mean(gaussian_kl(mean, log_var))
    np.testing.assert_allclose(metrics["distortion"], nats, rtol=1e-5)  # a sum over pixels
    np.testing.assert_allclose(metrics["kl"], kl, rtol=1e-5)
    np.testing.assert_allclose(value, nats + 3 * kl, rtol=1e-5)
    np.testing.assert_allclose(built.embed(state, BATCH), mean, rtol=1e-4, atol=1e-5)


def test_the_distortion_reaches_the_variance():
    """Without the reparameterisation trick log_var would have a gradient from KL alone: with beta
    0, none."""
    method = replace(CASES["vae"].method, beta=0.0)
    _, state = start(method)
    grads = jax.grad(lambda p: method.loss(p, state.extra, BATCH, KEY)[0])(state.params)
    assert np.abs(grads["encoder"]["log_var"]["kernel"]).max() > 1e-6


# GAN


def reference_gan_step(method, state, *, rate):
    """A step in plain SGD, one critic update after the other, with an optimizer nowhere."""
    n, chain = method.critic_steps, {"encoder": method.encoder, "head": method.head}
    to_view, to_critic, to_codes = jax.random.split(KEY, 3)
    x = view_batch(method.view, to_view, jnp.asarray(BATCH["image"]))
    d = {name: state.params[name] for name in chain}
    g, stats, size = state.params["generator"], state.extra["stats"], 16 // n
    loss_d, loss_g = gan_losses.GAMES[method.game]
    for i, key in enumerate(jax.random.split(to_critic, n)):
        real, (to_z, to_points) = x[i::n], jax.random.split(key)
        z = jax.random.normal(to_z, (size, method.code))
        fake = nets.apply(method.generator, g, stats["generator"], z, train=True)[0]

        def critic_loss(d, real=real, fake=fake, stats=stats, key=to_points):
            of_real, moved = nets.score(chain, d, stats, real)
            of_fake, moved = nets.score(chain, d, moved, fake)
            value = loss_d(of_real, of_fake)

            def critic(x):
                return nets.score(chain, d, stats, x)[0]

            value += method.gradient_penalty * gan_losses.gradient_penalty(critic, real, fake, key)
            return value + method.r1 * gan_losses.r1(critic, real), moved

        grads, stats = jax.grad(critic_loss, has_aux=True)(d)
        d = jax.tree.map(lambda p, u: p - rate * u, d, grads)
    z = jax.random.normal(to_codes, (size, method.code))

    def generator_loss(g):
        fake = nets.apply(method.generator, g, stats["generator"], z, train=True)[0]
        return loss_g(nets.score(chain, d, stats, fake)[0])

    step = method.generator_rate * rate
    return d, jax.tree.map(lambda p, u: p - step * u, g, jax.grad(generator_loss)(g))


@pytest.fixture(scope="module")
def two_critic_steps():
    """(method, first state, state after a step, metrics) with all that a step may hold."""
    with jax.default_matmul_precision("highest"):
        method = replace(
            CASES["gan"].method, critic_steps=2, gradient_penalty=1.0, r1=1.0, generator_rate=0.5
        )
        built, state = start(method)
        return method, state, *jax.jit(built.step)(state, BATCH, KEY)


def test_gan_reference(two_critic_steps):
    method, state, after, _ = two_critic_steps
    d, g = jax.jit(lambda s: reference_gan_step(method, s, rate=0.1))(state)
    assert_close(after.params, d | {"generator": g}, rtol=1e-4, atol=1e-5)


def test_the_average_of_generators_moves_fast_at_first(two_critic_steps):
    """Decay (1 + 0) / (10 + 0) in step 0, whatever `ema` says."""
    _, state, after, _ = two_critic_steps
    expected = jax.tree.map(
        lambda a, b: 0.1 * a + 0.9 * b, state.params["generator"], after.params["generator"]
    )
    assert_close(after.extra["target"]["params"]["generator"], expected, rtol=1e-4, atol=1e-6)


def test_a_divided_batch_on_eight_devices(two_critic_steps):
    method, state, after, metrics = two_critic_steps
    mesh = Parallel().mesh()
    many = jax.device_put(state, Parallel().place(state, mesh))
    step = jax.jit(method.build(optax.sgd(0.1), updates=10).step)
    many, many_metrics = step(many, to_global(BATCH, batch_sharding(mesh)), KEY)
    assert_close(many_metrics, metrics, rtol=1e-5, atol=1e-6)
    assert_close(many.params, after.params, rtol=1e-4, atol=1e-5)


def test_schedules_count_steps_also_for_the_critic(two_critic_steps):
    """A rate that ends after one step: both updates of the critic in it, and none of the next."""
    method, state, after, _ = two_critic_steps
    schedule = optax.piecewise_constant_schedule(0.1, {1: 0.0})
    built, state = start(method, optax.sgd(schedule))
    step = jax.jit(built.step)
    first, _ = step(state, BATCH, KEY)
    assert_close(first.params, after.params, rtol=1e-4, atol=1e-5)
    second, _ = step(first, BATCH, KEY)
    assert_close(second.params, first.params, rtol=0, atol=0)


def test_no_convolution_runs_in_a_scan(two_critic_steps):
    """XLA:CPU runs those ten times slower, and nothing else would show it."""
    method, state, *_ = two_critic_steps
    built = method.build(optax.sgd(0.1), updates=10)
    text = str(jax.make_jaxpr(built.step)(state, BATCH, KEY))
    assert "conv_general_dilated" in text
    assert "scan[" not in text


def test_a_batch_that_cannot_be_divided():
    method = replace(CASES["gan"].method, critic_steps=3)
    built, state = start(method)
    with pytest.raises(ValueError, match="3 critic_steps"):
        built.step(state, BATCH, KEY)


def test_samples_are_those_of_the_averaged_generator():
    method = CASES["gan"].method
    _, state = start(method)
    other = jax.tree.map(lambda x: x + 1.0, state.params["generator"])
    moved = replace(state, params=state.params | {"generator": other})
    x = method.sample(state, KEY, count=3)
    np.testing.assert_array_equal(x, method.sample(moved, KEY, count=3))
    assert x.shape == (3, 8, 8, 3)


# Inpainting


def test_the_hole_is_not_seen_and_the_rest_is_kept():
    method = CASES["context_encoder"].method
    _, state = start(method)
    hole = np.asarray(method.mask(8))[0, :, :, 0]
    assert hole.sum() == 16
    assert hole[2:6, 2:6].all()
    scribbled = BATCH["image"].copy()
    scribbled[:, hole] = 255 - scribbled[:, hole]
    a, b = (method.complete(state, {"image": x}) for x in (BATCH["image"], scribbled))
    np.testing.assert_array_equal(a, b)
    shown = method.view.denormalize(method.view.plain(BATCH["image"]))
    np.testing.assert_allclose(a[:, ~hole], shown[:, ~hole], atol=1e-6)


def test_contextencoder_reference():
    method = CASES["context_encoder"].method
    _, state = start(method)
    chain = {"encoder": method.encoder, "decoder": method.decoder}
    critic = {"encoder": method.discriminator, "head": method.head}
    x, mask = view_batch(method.view, KEY, BATCH["image"]), method.mask(8)
    stats = state.extra["stats"]

    def draw(params):
        drawn = nets.apply_chain(chain, params, stats, jnp.where(mask, 0.0, x), train=True)[0]
        return drawn, jnp.where(mask, drawn, x)

    def of_painter(painter):
        drawn, fake = draw(painter)
        score, _ = nets.score(critic, state.params["discriminator"], stats["discriminator"], fake)
        return masked_l1(drawn, x, mask) + 0.01 * jnp.mean(jax.nn.softplus(-score))

    def of_critic(d):
        fake = draw(state.params)[1]
        real, moved = nets.score(critic, d, stats["discriminator"], x)
        fake, _ = nets.score(critic, d, moved, fake)
        return jnp.mean(jax.nn.softplus(-real)) + jnp.mean(jax.nn.softplus(fake))

    grads = jax.jit(jax.grad(lambda p: method.loss(p, state.extra, BATCH, KEY)[0]))(state.params)
    painter = {name: state.params[name] for name in chain}
    expected = jax.jit(jax.grad(of_painter))(painter)
    expected["discriminator"] = jax.jit(jax.grad(of_critic))(state.params["discriminator"])
    assert_close(grads, expected, rtol=1e-4, atol=1e-6)


def test_without_an_adversary_there_is_no_discriminator():
    method = replace(CASES["context_encoder"].method, adversarial=0.0)
    _, state = start(method)
    assert set(state.params) == {"encoder", "decoder"}
    value, (_, metrics) = method.loss(state.params, state.extra, BATCH, KEY)
    assert metrics == {}
    assert 0 < value < 10


# Style transfer


def test_the_style_loss_trains_the_decoder_only():
    """f is a constant in the terms of style: it would shrink its maps to make them small."""
    method = CASES["adain"].method
    _, state = start(method)

    def grads(weight):
        changed = replace(method, style_weight=weight)
        return jax.grad(lambda p: changed.loss(p, state.extra, BATCH, KEY)[0])(state.params)

    light, heavy = grads(0.0), grads(100.0)
    assert_close(light["encoder"], heavy["encoder"], rtol=1e-5, atol=1e-7)
    kernels = light["decoder"]["image"]["kernel"], heavy["decoder"]["image"]["kernel"]
    assert np.abs(kernels[0] - kernels[1]).max() > 1e-3
    assert np.abs(light["encoder"]["conv1"]["kernel"]).max() > 1e-6


def test_adain_reference():
    """The whole loss from the maps and pictures of the networks, each level in units of the mean
    variance of its maps, so that maps ten times as large change nothing."""
    method = replace(CASES["adain"].method, style_weight=3.0)
    _, state = start(method)
    k1, k2 = jax.random.split(KEY)
    image = BATCH["image"]
    c = np.asarray(view_batch(method.content, k1, image))
    s = np.asarray(view_batch(method.style, k2, np.roll(image, 1, axis=0)))

    def levels(x):
        maps = nets.apply(
            method.encoder, state.params["encoder"], {}, x, train=True, method="levels"
        )
        return [np.asarray(m, np.float64) for m in maps[0]]

    def draw(maps):
        drawn = nets.apply(method.decoder, state.params["decoder"], {}, maps, train=True)[0]
        return np.asarray(drawn, np.float64)

    def moments(x):
        return x.mean((1, 2), keepdims=True), np.sqrt(x.var((1, 2), keepdims=True) + 1e-5)

    of_c, of_s = levels(c), levels(s)
    (mean_c, std_c), (mean_s, std_s) = moments(of_c[-1]), moments(of_s[-1])
    t = std_s * (of_c[-1] - mean_c) / std_c + mean_s
    of_g = levels(draw(t.astype(np.float32)))
    content, style = 0.0, 0.0
    for a, b, of in zip(of_g, of_s, of_c, strict=True):
        unit = np.mean(moments(np.concatenate([of, b]))[1] ** 2)
        content = np.mean((a - t) ** 2) / unit if a.shape == t.shape else content
        style += sum(np.mean((p - q) ** 2) for p, q in zip(moments(a), moments(b))) / unit
    seen = np.concatenate([c, s])
    drawn = draw(np.concatenate([of_c[-1], of_s[-1]]).astype(np.float32))
    reconstruction = np.mean((drawn - seen) ** 2)
    value, (_, metrics) = method.loss(state.params, state.extra, BATCH, KEY)
    np.testing.assert_allclose(metrics["content"], content, rtol=1e-5)
    np.testing.assert_allclose(metrics["style"], style, rtol=1e-5)
    np.testing.assert_allclose(value, reconstruction + content + 3 * style, rtol=1e-5)


def test_a_style_is_all_that_is_taken_from_the_other_image():
    """Style with its pixels shuffled in blocks has nearly the same moments; content does not."""
    method = CASES["adain"].method
    _, state = start(method)
    c = method.content.plain(BATCH["image"])
    flipped = c[:, ::-1, ::-1]
    to_own, to_flipped = (method.transfer(state, c, s) for s in (c, flipped))
    drawn, _ = nets.apply(
        method.decoder,
        state.params["decoder"],
        {},
        nets.apply(method.encoder, state.params["encoder"], {}, c, train=False, method="levels")[0][
            -1
        ],
        train=False,
    )
    # AdaIN with its own moments is the identity: what remains is the decoder
    np.testing.assert_allclose(to_own, method.content.denormalize(drawn), atol=1e-3)
    assert np.abs(to_flipped - method.transfer(state, flipped, c)).max() > 0.05
