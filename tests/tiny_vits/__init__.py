"""The parts of a tiny VITS, written from its papers; names and order follow the nodes of a released voice.

VITS is arXiv 2106.06103, HiFi-GAN 2010.05646, neural spline flows 1906.04032, relative positions 1803.02155.
"""

# latents differ from hidden on purpose: nothing downstream may take the one for the other.
HIDDEN, FILTER, LATENTS, SPEAKER, LAYERS, HEADS = 16, 32, 12, 8, 2, 2
