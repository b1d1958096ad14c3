"""Agreement with official code: goldens are found by file name and compared with what vlzoo computes."""
