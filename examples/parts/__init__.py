"""What draws the figures and makes the sounds of the example collection."""
