"""Segmenters: one explicit table of names (`table`), one function that builds them."""

from lesionjax.models.segmentation.table import SEGMENTERS, SegmenterSpec, build_segmenter

__all__ = ['SEGMENTERS', 'SegmenterSpec', 'build_segmenter']
