"""How good a map of relevance is: is it on the lesion, does it matter, does it know the weights?

A map of relevance says of every pixel how much it spoke for a class, 0..1. NumPy and OpenCV alone:
a network comes in as a function from images to probabilities.
"""
