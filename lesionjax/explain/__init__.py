"""How a network sees an image: class activation maps, gradients, occlusion, their quality."""
