"""Word-conditional Grad-CAM and its drawing."""
