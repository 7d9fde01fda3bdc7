"""lesionjax: functional JAX/Flax research code for dermoscopy."""
