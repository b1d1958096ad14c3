"""What was measured, side by side: runs with each other and with published numbers; tables and pages. No torch."""
