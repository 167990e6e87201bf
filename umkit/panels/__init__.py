"""What a consultant works with in JupyterLab; without a person there, each panel is a plain table."""
