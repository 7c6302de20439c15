"""Read PDF documents: text in the order of reading, figures and tables."""
