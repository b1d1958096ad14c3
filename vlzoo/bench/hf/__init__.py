"""Models of transformers as the harness measures them; public classes, local folders."""
