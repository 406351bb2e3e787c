"""A small convolutional network in plain NumPy, pooled by cypool: it learns to read scikit-learn's digits.

    python docs/digits.py

See digits.md for what it does.
"""

import numpy as np

from cypool import avg_pool, avg_pool_grad, max_pool, max_pool_grad

GOAL = 0.97
"""The share of the test images that the trained network must name right."""

EPOCHS = 20
BATCH = 32
RATE = 0.003
# One thread: a pool of a batch takes microseconds, too few to be worth the wait for a second one.
OVERLAPPING = {"kernel_size": 3, "stride": 2, "padding": 1, "axis": (1, 2), "num_threads": 1}  # 8 x 8 to 4 x 4
BLOCKS = {"kernel_size": 2, "axis": (1, 2), "num_threads": 1}  # 4 x 4 to 2 x 2


def load():
    """Return images (N, 8, 8, 1) in 0 to 1 and their digits, 1437 to learn from and 360 to be tested on."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images[..., None] / 16).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(images))
    learn, test = order[:1437], order[1437:]
    return (images[learn], digits.target[learn]), (images[test], digits.target[test])


# --- layers: forward, and backward from the gradient of what came out ------------------------------------------------


def patches(x):
    """The 3 x 3 neighbourhood of every pixel, zero outside: (N, H, W, C) to (N, H, W, 9 * C)."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    around = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    return around.transpose(0, 1, 2, 4, 5, 3).reshape(*x.shape[:3], -1)


def convolve(x, weights, bias):
    return patches(x) @ weights + bias


def weights_grad(grad, x):
    """The gradients of weights and bias."""
    grad = grad.reshape(-1, grad.shape[3])
    return patches(x).reshape(len(grad), -1).T @ grad, grad.sum(0)


def input_grad(grad, weights):
    """The gradient of the input: a convolution again, with the kernel turned around."""
    filters = weights.shape[1]
    turned = weights.reshape(3, 3, -1, filters)[::-1, ::-1].transpose(0, 1, 3, 2)
    return patches(grad) @ turned.reshape(9 * filters, -1)


def forward(x, p):
    """Return the scores (N, 10) and what the way back needs."""
    a = convolve(x, p["w1"], p["b1"])
    b, chosen = max_pool(np.maximum(a, 0), **OVERLAPPING, return_indices="window")
    c = convolve(b, p["w2"], p["b2"])
    d = avg_pool(np.maximum(c, 0), **BLOCKS)
    flat = d.reshape(len(d), -1)
    return flat @ p["w3"] + p["b3"], (x, a, chosen, b, c, d, flat)


def backward(grad, kept, p):
    """Return the gradient of every parameter."""
    x, a, chosen, b, c, d, flat = kept
    g = {"w3": flat.T @ grad, "b3": grad.sum(0)}
    grad = (grad @ p["w3"].T).reshape(d.shape)
    grad = avg_pool_grad(grad, c.shape, **BLOCKS) * (c > 0)
    g["w2"], g["b2"] = weights_grad(grad, b)
    grad = input_grad(grad, p["w2"])
    grad = max_pool_grad(grad, chosen, a.shape, **OVERLAPPING) * (a > 0)
    g["w1"], g["b1"] = weights_grad(grad, x)
    return g


def loss(scores, target):
    """Return the mean cross entropy and its gradient with respect to the scores."""
    shifted = scores - scores.max(1, keepdims=True)
    chances = np.exp(shifted) / np.exp(shifted).sum(1, keepdims=True)
    rows = np.arange(len(target))
    grad = chances.copy()
    grad[rows, target] -= 1
    return -np.log(chances[rows, target]).mean(), grad / len(target)


# --- training --------------------------------------------------------------------------------------------------------


def new_parameters(rng):
    """Weights of a size that keeps the size of what passes through them; no bias."""
    shapes = {"w1": (1 * 9, 16), "w2": (16 * 9, 32), "w3": (2 * 2 * 32, 10)}
    p = {name: rng.normal(0, np.sqrt(2 / shape[0]), shape).astype(np.float32) for name, shape in shapes.items()}
    return p | {f"b{name[1]}": np.zeros(shape[1], np.float32) for name, shape in shapes.items()}


def accuracy(p, images, digits):
    scores, _ = forward(images, p)
    return float((scores.argmax(1) == digits).mean())


def train(say=print):
    """Train by Adam and return the accuracy on the test images."""
    (images, digits), test = load()
    rng = np.random.default_rng(0)
    p = new_parameters(rng)
    mean = {name: np.zeros_like(value) for name, value in p.items()}
    square = {name: np.zeros_like(value) for name, value in p.items()}
    step = 0
    for epoch in range(1, EPOCHS + 1):
        losses = []
        order = rng.permutation(len(images))
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            scores, kept = forward(images[batch], p)
            value, grad = loss(scores, digits[batch])
            losses.append(value)
            step += 1
            for name, g in backward(grad, kept, p).items():
                mean[name] += 0.1 * (g - mean[name])
                square[name] += 0.001 * (g * g - square[name])
                change = mean[name] / (1 - 0.9**step) / (np.sqrt(square[name] / (1 - 0.999**step)) + 1e-8)
                p[name] -= RATE * change
        if epoch % 5 == 0:
            say(f"epoch {epoch:2}: loss {np.mean(losses):.3f}, test accuracy {accuracy(p, *test):.1%}")
    return accuracy(p, *test)


if __name__ == "__main__":
    train()
