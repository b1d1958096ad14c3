"""The plain objectives: image-text contrastive, image-text matching, masked language modelling."""
