"""New plugins: whole pip packages from templates, one for each kind of part."""
