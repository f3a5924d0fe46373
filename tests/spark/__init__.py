"""The second engine of preprocessing: real PySpark, held against the one machine."""
