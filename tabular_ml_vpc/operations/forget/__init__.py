"""What of a stack holds the rows of one person: tables, prepared data, predictions, models."""
