"""The only place where IAM statements are made.

``statements`` holds the building blocks, ARNs included; the other modules hold one kind of
principal or resource each. Rights that no code of ours shows but AWS needs cite the document that
says so.
"""
