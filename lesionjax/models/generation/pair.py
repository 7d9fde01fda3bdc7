"""A generator and its discriminator as one module, so that a run has one tree of parameters."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp


class GAN(nn.Module):
  """A conditional generator and what judges it; their variables lie under either one's name.

  Attributes:
    generator: module (latent [B,Z], label int [B], train) -> image float32 [B,S,S,3] in [-1, 1].
    discriminator: module (image, label, train) -> logit float32 [B], higher for real images.
    latent: Z, numbers that an image is drawn from.
  """

  generator: nn.Module
  discriminator: nn.Module
  latent: int

  def __call__(
    self, image: jax.Array, label: jax.Array | None = None, train: bool = False
  ) -> jax.Array:
    """Calls both once, for `init`; images are [B,S,S,3], the label is class 0 where none is given.

    Returns:
      Logits [B] of the images.
    """
    label = jnp.zeros(image.shape[0], jnp.int32) if label is None else label
    self.generate(jnp.zeros((image.shape[0], self.latent), jnp.float32), label, train)
    return self.discriminate(image, label, train)

  def generate(self, latent: jax.Array, label: jax.Array, train: bool = False) -> jax.Array:
    """Maps latents [B,Z], standard normal, and labels int [B] to images float32 [B,S,S,3]."""
    return self.generator(latent, label, train)

  def discriminate(self, image: jax.Array, label: jax.Array, train: bool = False) -> jax.Array:
    """Maps images [B,S,S,3] in [-1, 1] and labels int [B] to logits float32 [B]."""
    return self.discriminator(image, label, train)
