"""All IAM statements, and the only place that creates them.

``statements`` holds the building blocks, including ARNs; each other module holds one kind of
principal or resource. A permission that AWS needs but our code does not show cites the document
that requires it.
"""
