"""A trained run on a folder of images, and as an artefact for other programs."""
