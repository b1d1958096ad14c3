"""Texts to ids: cleaning, vocabulary, tokenizer."""
