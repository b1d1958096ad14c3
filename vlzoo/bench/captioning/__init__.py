"""Captions of pictures: everything of captioning in one folder."""
