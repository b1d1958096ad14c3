"""Picture augmentations, and the way from a PIL picture to what an image encoder reads.

`view.make_view` applies an augmentation, `tensor.Normalise` makes pixel values of its result. Parts: `plain`
(evaluation), `weak` (ALBEF's), `strong` (TCL's). All randomness comes from the generator handed over.
"""
