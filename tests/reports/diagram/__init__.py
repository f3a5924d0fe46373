"""The pictures: what they show, and that the committed ones are current."""
