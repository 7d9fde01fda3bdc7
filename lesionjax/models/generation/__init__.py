"""Generators with their discriminators: one table of names, one function that builds a pair."""

from lesionjax.models.generation.table import GENERATORS, GeneratorSpec, build_gan

__all__ = ['GENERATORS', 'GeneratorSpec', 'build_gan']
