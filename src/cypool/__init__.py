"""Pooling of N-dimensional NumPy arrays, compiled and parallel."""

from cypool import functional
from cypool.adaptive import (
    adaptive_avg_pool,
    adaptive_avg_pool_grad,
    adaptive_max_pool,
    adaptive_max_pool_grad,
    adaptive_min_pool,
    adaptive_min_pool_grad,
    global_avg_pool,
    global_max_pool,
    global_min_pool,
)
from cypool.dispatch import show_config
from cypool.fractional import fractional_max_pool, fractional_max_pool_grad
from cypool.gradients import avg_pool_grad, max_pool_grad, max_pool_take, min_pool_grad, sum_pool_grad
from cypool.norms import (
    global_lp_pool,
    logsumexp_pool,
    logsumexp_pool_grad,
    lp_pool,
    lp_pool_grad,
    power_mean_pool,
    power_mean_pool_grad,
)
from cypool.pool import avg_pool, max_pool, min_pool, output_shape, sum_pool
from cypool.pyramid import spatial_pyramid_pool, spatial_pyramid_pool_grad
from cypool.stochastic import stochastic_pool, stochastic_pool_expectation, stochastic_pool_expectation_grad
from cypool.threads import get_num_threads, set_num_threads
from cypool.unpool import max_unpool, max_unpool_grad
from cypool.weighted import soft_pool, soft_pool_grad, weighted_avg_pool, weighted_avg_pool_grad

__version__ = "0.1.0"

__all__ = [
    "adaptive_avg_pool",
    "adaptive_avg_pool_grad",
    "adaptive_max_pool",
    "adaptive_max_pool_grad",
    "adaptive_min_pool",
    "adaptive_min_pool_grad",
    "avg_pool",
    "avg_pool_grad",
    "fractional_max_pool",
    "fractional_max_pool_grad",
    "functional",
    "get_num_threads",
    "global_avg_pool",
    "global_lp_pool",
    "global_max_pool",
    "global_min_pool",
    "logsumexp_pool",
    "logsumexp_pool_grad",
    "lp_pool",
    "lp_pool_grad",
    "max_pool",
    "max_pool_grad",
    "max_pool_take",
    "max_unpool",
    "max_unpool_grad",
    "min_pool",
    "min_pool_grad",
    "output_shape",
    "power_mean_pool",
    "power_mean_pool_grad",
    "set_num_threads",
    "show_config",
    "soft_pool",
    "soft_pool_grad",
    "spatial_pyramid_pool",
    "spatial_pyramid_pool_grad",
    "stochastic_pool",
    "stochastic_pool_expectation",
    "stochastic_pool_expectation_grad",
    "sum_pool",
    "sum_pool_grad",
    "weighted_avg_pool",
    "weighted_avg_pool_grad",
]
