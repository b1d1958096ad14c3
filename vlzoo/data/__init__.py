"""Sources, formats, collation and the generated Scenes corpus."""
